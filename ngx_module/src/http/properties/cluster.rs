//! `cluster_name`: the upstream of the location that a request is in. `environment.rs` is the caller, and `host.rs` for its
//! servers.

use nginx_sys::{
    ngx_http_max_module, ngx_http_request_t, ngx_http_upstream_conf_t, ngx_http_upstream_srv_conf_t,
    ngx_http_upstream_t,
};

use crate::nginx::modules::{self, Known};

/// Modules that pass requests on. Their configuration has the upstream when the location says it without variables.
const PASSING: [Known; 6] = [Known::Proxy, Known::Fastcgi, Known::Uwsgi, Known::Scgi, Known::Grpc, Known::Memcached];

/// The name of the block `upstream`, or the host in `proxy_pass`: of the upstream that nginx asks for this location, and
/// before that of the one that the location names.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn name<'a>(r: *mut ngx_http_request_t) -> Option<&'a [u8]> {
    // SAFETY: names live as long as the request, or its configuration.
    unsafe { asked(r).or_else(|| configured(r)) }
}

/// The upstream of the configuration that nginx asks for this location, or else the one that the location names.
pub unsafe fn upstream(r: *mut ngx_http_request_t) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    // SAFETY: as for `name`.
    unsafe {
        match (*r).upstream.as_ref() {
            Some(u) if is_of_location(r, u) && (!u.upstream.is_null() || !u.resolved.is_null()) => {
                (!u.upstream.is_null()).then_some(u.upstream)
            }
            _ => named(r),
        }
    }
}

/// Whether nginx has begun to ask a server for this location.
pub unsafe fn is_asked(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: as for `name`. Nginx has an upstream or addresses before it has a balancer
    // (src/http/ngx_http_upstream.c, ngx_http_upstream_init_request).
    unsafe {
        let u = (*r).upstream.as_ref();
        u.is_some_and(|u| is_of_location(r, u) && (!u.upstream.is_null() || u.peer.get.is_some()))
    }
}

unsafe fn asked<'a>(r: *mut ngx_http_request_t) -> Option<&'a [u8]> {
    // SAFETY: one of both is there from the beginning, or it is not known yet.
    unsafe {
        let u = (*r).upstream.as_ref()?;
        if !is_of_location(r, u) {
            return None;
        }
        match (u.upstream.as_ref(), u.resolved.as_ref()) {
            (Some(conf), _) => Some(conf.host.as_bytes()),
            (None, Some(resolved)) => Some(resolved.host.as_bytes()),
            (None, None) => None,
        }
    }
}

/// Whether this is no upstream that a location before an internal redirect has asked: nginx leaves it in the request.
unsafe fn is_of_location(r: *mut ngx_http_request_t, u: &ngx_http_upstream_t) -> bool {
    // SAFETY: the array has an element for each HTTP module.
    unsafe {
        (*r).internal() == 0
            || (0..ngx_http_max_module)
                .any(|place| (*(*r).loc_conf.add(place)).cast::<ngx_http_upstream_conf_t>() == u.conf)
    }
}

unsafe fn configured<'a>(r: *mut ngx_http_request_t) -> Option<&'a [u8]> {
    // SAFETY: names live as long as the configuration.
    unsafe { named(r).map(|upstream| (*upstream).host.as_bytes()) }
}

unsafe fn named(r: *mut ngx_http_request_t) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    // SAFETY: the configuration of each begins with that of the upstream module (see [`Known`]).
    unsafe {
        let mut named = PASSING.into_iter().filter_map(|module| {
            let conf = modules::loc_conf((*r).loc_conf, module).cast::<ngx_http_upstream_conf_t>();
            Some(conf.as_ref()?.upstream).filter(|upstream| !upstream.is_null())
        });
        let upstream = named.next()?;
        // With several directives, the last one counts, and nothing tells which that was.
        named.next().is_none().then_some(upstream)
    }
}
