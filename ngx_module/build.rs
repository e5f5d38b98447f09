//! Turns what `nginx-sys` learned about the nginx tree into `cfg` flags.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_NGINX_VERSION_NUMBER");
    println!("cargo:rustc-check-cfg=cfg(linked_headers)");
    println!("cargo:rerun-if-env-changed=DEP_NGINX_FEATURES");
    println!("cargo:rustc-check-cfg=cfg(ngx_feature, values(any()))");
    // The options that nginx was configured with.
    for feature in std::env::var("DEP_NGINX_FEATURES").unwrap_or_default().split(',') {
        println!("cargo:rustc-cfg=ngx_feature=\"{feature}\"");
    }
    let version: u32 = std::env::var("DEP_NGINX_VERSION_NUMBER")
        .expect("nginx-sys tells the version of nginx")
        .parse()
        .expect("nginx_version is a number");
    // Since 1.23.0, header lines of one name are linked through `next`; before, some stood in arrays.
    if version >= 1_023_000 {
        println!("cargo:rustc-cfg=linked_headers");
    }
    println!("cargo:rerun-if-env-changed=DEP_NGINX_INCLUDE");
    println!("cargo:rustc-check-cfg=cfg(openresty)");
    // OpenResty's patches add to nginx's structures, and leave its version and its signature as they are.
    let include = std::env::var_os("DEP_NGINX_INCLUDE").unwrap_or_default();
    let is_patched = |folder: std::path::PathBuf| {
        let header = folder.join("ngx_process_cycle.h");
        std::fs::read_to_string(header).is_ok_and(|text| text.contains("ngx_is_privileged_agent"))
    };
    if std::env::split_paths(&include).any(is_patched) {
        println!("cargo:rustc-cfg=openresty");
    }
    println!("cargo:rustc-check-cfg=cfg(resolved_peers)");
    // Since 1.27.3, servers with `resolve` come and go while nginx runs, when they have a zone.
    let has_zone =
        std::env::var("DEP_NGINX_FEATURES").is_ok_and(|all| all.split(',').any(|one| one == "http_upstream_zone"));
    if version >= 1_027_003 && has_zone {
        println!("cargo:rustc-cfg=resolved_peers");
    }
}
