//! How nginx with its RTMP module is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where nginx listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    pub rtmp: SocketAddr,
    /// For files.
    pub http: Option<SocketAddr>,
    /// TLS in front of RTMP, with this certificate and key.
    pub rtmps: Option<(SocketAddr, &'a [PathBuf; 2])>,
}

/// A command that starts nginx as one process, which does all of this.
pub fn command(dir: &Path, addresses: Addresses<'_>, videos: &Path) -> Command {
    let rtmp_module = module("rtmp");
    let Addresses { rtmp: address, http, rtmps } = addresses;
    let (dir_name, videos) = (dir.display(), videos.display());
    let load_stream = rtmps.map_or_else(String::new, |_| format!("load_module {};\n", module("stream")));
    let mut text = format!(
        "load_module {rtmp_module};\n{load_stream}daemon off;\nmaster_process off;\npid {dir_name}/nginx.pid;\n\
         error_log {dir_name}/error.log error;\nworker_rlimit_nofile 20000;\n\
         events {{ worker_connections 10000; }}\n\
         rtmp {{ access_log off; server {{ listen {address}; chunk_size 4096;\n\
         application live {{ live on; }} application gortmp {{ play {videos}; }} }} }}\n"
    );
    let files = http.map(|http| {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|what| format!("{what}_temp_path {dir_name}/{what};\n"));
        format!(
            "http {{ access_log off; sendfile on; {}server {{ listen {http}; location /gortmp/ {{ alias {videos}/; }} }} }}\n",
            temporary.concat()
        )
    });
    text.extend(files);
    text.extend(rtmps.map(|(rtmps, [certificate, key])| {
        let (certificate, key) = (certificate.display(), key.display());
        format!(
            "stream {{ access_log off; server {{ listen {rtmps} ssl; ssl_certificate {certificate};\n\
             ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; tcp_nodelay on; proxy_pass {address}; }} }}\n"
        )
    }));
    let config = dir.join("nginx.conf");
    std::fs::write(&config, text).expect("a file of ours");
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-e").arg(dir.join("error.log")).arg("-p").arg(dir).arg("-c").arg(&config);
    command
}

/// The file of a module.
fn module(name: &str) -> String {
    let path = format!("/usr/lib/nginx/modules/ngx_{name}_module.so");
    assert!(Path::new(&path).exists(), "a module of nginx is missing: apt-get install libnginx-mod-{name}");
    path
}
