//! Instances for single requests that need no start (`proxy_wasm_isolation request`). A worker starts a filter once, keeps an image
//! of what it is then, makes further instances from that, and puts them back to it when their request has ended.
//!
//! Where that cannot be (the module does what cannot be undone, or the start of the filter asks for what each instance has to have
//! for itself), each request has an instance that starts for it, as with `proxy_wasm_isolation request fresh`.

use std::rc::Rc;

use nginx_sys::NGX_LOG_NOTICE;
use ngx_wasm::proxy_wasm::{Vm, VmImage};

use super::{Instance, Instances};
use crate::config::rules::Isolation;
use crate::nginx::log::{self, Log};
use crate::process::status::Event;

/// What the instances of a filter that wait for requests may take together, as they were made.
const MOST_IDLE_MEMORY: usize = 32 << 20;
/// So many are kept of the largest filters, too.
const FEW_IDLE: usize = 4;

/// What a filter has for the next requests.
pub(super) struct Reset {
    template: Template,
    /// Those that were put back. None is known by a generation.
    // They come from places that have them in boxes, and go there again: no instance is copied.
    #[allow(clippy::vec_box)]
    idle: Vec<Box<Instance>>,
    /// How many are kept.
    most_idle: usize,
}

/// What instances are made of.
enum Template {
    /// The first one that starts tells.
    Unknown,
    Image(Rc<VmImage>),
    /// Each instance starts for its request.
    None,
}

impl Reset {
    /// Nothing yet. `is_wanted`: instances may be put back. Not more than `most_idle` are kept for the next requests.
    pub fn new(is_wanted: bool, most_idle: usize) -> Reset {
        let template = if is_wanted { Template::Unknown } else { Template::None };
        Reset { template, idle: Vec::new(), most_idle }
    }

    fn image(&self) -> Option<Rc<VmImage>> {
        match &self.template {
            Template::Image(image) => Some(image.clone()),
            Template::Unknown | Template::None => None,
        }
    }
}

/// Why a filter has a new instance for each request although it need not, in words for the log.
pub fn told(name: &[u8], reason: &str) -> String {
    let (name, reason) = (String::from_utf8_lossy(name), log::printable(reason));
    format!(
        "filter \"{name}\" starts for each request, as with \"proxy_wasm_isolation request fresh\": its instances cannot be put \
         back to what they were, because {reason}"
    )
}

impl Instances {
    /// An instance for one request: one that was put back, a new one from the image, or one that starts.
    pub(super) fn start_own(&mut self, log: Log<'_>) -> Option<u64> {
        if let Some(instance) = self.reset.idle.pop() {
            return Some(self.take_in(instance));
        }
        let Some(image) = self.reset.image() else { return self.start(log) };
        match self.filter.start_from(&image) {
            Ok(vm) => Some(self.take_in_new(vm, Some(image.root()))),
            Err(reason) => {
                self.give_up(&reason, log);
                self.start(log)
            }
        }
    }

    /// Starts the filter for its image alone, if there can be one: what it wants beside that, each request's instance would have to want.
    pub(super) fn begin_image(&mut self, log: Log<'_>) {
        if !matches!(self.reset.template, Template::Unknown) {
            return;
        }
        match self.filter.start(log) {
            Ok((mut vm, _)) => self.keep_image(&mut vm, log),
            Err(reason) => self.start_failed(&reason, log),
        }
    }

    /// Keeps the image of a VM that has just started, if that is the first and there can be one.
    pub(super) fn keep_image(&mut self, vm: &mut Vm, log: Log<'_>) {
        if self.filter.policy().isolation != Isolation::Request || !matches!(self.reset.template, Template::Unknown) {
            return;
        }
        match vm.image() {
            Ok(image) => {
                let most = (MOST_IDLE_MEMORY / image.own_memory().max(1)).max(FEW_IDLE);
                self.reset.most_idle = self.reset.most_idle.min(most);
                self.reset.template = Template::Image(Rc::new(image));
            }
            Err(reason) => self.give_up(&reason, log),
        }
    }

    /// From now on each request has an instance that starts for it.
    fn give_up(&mut self, reason: &str, log: Log<'_>) {
        self.reset.template = Template::None;
        self.drop_idle();
        log.write(NGX_LOG_NOTICE, format!("wasm {}", told(self.filter.name(), reason)));
    }

    /// Ends the instance of a request in which nothing goes on any more, or keeps it for the next one.
    pub(super) fn end_or_put_back(&mut self, generation: u64) {
        let Some(image) = self.reset.image() else {
            self.remove(generation);
            return;
        };
        let Some(mut instance) = self.take_out(generation) else { return };
        let status = self.status();
        status.callbacks(&mut instance.vm);
        if instance.put_back(&image).is_err() {
            status.count(Event::NotPutBack);
        } else {
            status.count(Event::PutBack);
            if self.reset.idle.len() < self.reset.most_idle {
                self.reset.idle.push(instance);
                return;
            }
        }
        self.uncount(&instance);
        self.show();
    }

    fn drop_idle(&mut self) {
        for instance in std::mem::take(&mut self.reset.idle) {
            self.uncount(&instance);
        }
        self.show();
    }
}
