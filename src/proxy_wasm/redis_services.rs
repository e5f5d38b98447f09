//! What guests have said by `proxy_redis_init` of the Redis services that they call. The host calls in
//! `host_calls/redis.rs` use it.

use std::collections::HashMap;
use std::time::Duration;

use super::ids::ContextId;

/// How a Redis service is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisService {
    /// Nobody when empty.
    pub username: Vec<u8>,
    /// None when empty.
    pub password: Vec<u8>,
    /// The one that a connection has from the start, unless said otherwise.
    pub database: Option<u32>,
    /// For each command.
    pub timeout: Duration,
}

impl Default for RedisService {
    /// One that nobody has said anything about, with the time-out that Higress has then.
    fn default() -> Self {
        RedisService { username: Vec::new(), password: Vec::new(), database: None, timeout: Duration::from_secs(1) }
    }
}

impl RedisService {
    fn bytes(&self) -> usize {
        self.username.len() + self.password.len() + size_of::<Self>()
    }
}

/// The services that each root context has set up, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RedisServices {
    map: HashMap<(ContextId, Vec<u8>), RedisService>,
    bytes: usize,
}

impl RedisServices {
    /// What all names, users and passwords of a VM may take.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Sets a service up, or sets it up anew. Answers whether there was room.
    pub fn set(&mut self, root: ContextId, name: &[u8], service: RedisService) -> bool {
        let key = (root, name.to_vec());
        let old = self.map.get(&key).map_or(0, |old| name.len() + old.bytes());
        let bytes = self.bytes - old + name.len() + service.bytes();
        if bytes > Self::MAX_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.map.insert(key, service);
        true
    }

    /// A service, as it was set up last.
    pub fn get(&self, root: ContextId, name: &[u8]) -> RedisService {
        self.map.get(&(root, name.to_vec())).cloned().unwrap_or_default()
    }

    /// A root context has ended.
    pub fn forget(&mut self, root: ContextId) {
        let bytes = &mut self.bytes;
        self.map.retain(|(of, name), service| {
            if *of == root {
                *bytes -= name.len() + service.bytes();
            }
            *of != root
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(password: usize) -> RedisService {
        RedisService { password: vec![b'x'; password], ..RedisService::default() }
    }

    #[test]
    fn a_service_is_that_of_the_root_that_set_it_up_last() {
        let mut services = RedisServices::default();
        assert!(services.set(ContextId(1), b"a", service(1)));
        assert!(services.set(ContextId(1), b"a", service(2)));
        assert!(services.set(ContextId(2), b"a", service(3)));
        assert_eq!(services.get(ContextId(1), b"a"), service(2));
        assert_eq!(services.get(ContextId(2), b"a"), service(3));
        assert_eq!(services.get(ContextId(1), b"b"), RedisService::default());
        services.forget(ContextId(1));
        assert_eq!(services.get(ContextId(1), b"a"), RedisService::default());
        assert_eq!(services.get(ContextId(2), b"a"), service(3));
        services.forget(ContextId(2));
        assert_eq!(services.bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut services = RedisServices::default();
        let half = RedisServices::MAX_BYTES / 2;
        assert!(services.set(ContextId(1), b"a", service(half)));
        assert!(!services.set(ContextId(1), b"b", service(half)));
        assert!(services.set(ContextId(1), b"a", service(half + 100)));
        assert!(!services.set(ContextId(1), b"a", service(2 * half)));
        assert_eq!(services.get(ContextId(1), b"a"), service(half + 100));
    }
}
