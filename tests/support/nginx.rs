//! nginx, with its RTMP module as a peer, or as a proxy.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use tempfile::TempDir;

use super::{Running, tool, wait_for};

/// A running nginx with one RTMP application. Dropping it ends it.
pub struct Nginx {
    port: u16,
    log: std::path::PathBuf,
    _process: Running,
}

impl Nginx {
    /// Starts it on a port of its own; `application` is what stands in the application's block.
    pub fn start(dir: &TempDir, application: &str) -> Self {
        let module = ["/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules"]
            .map(|dir| format!("{dir}/ngx_rtmp_module.so"))
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .expect("nginx's RTMP module is missing: install it with apt-get install libnginx-mod-rtmp");
        Self::run(dir, &format!("load_module {module};\n"), |port| {
            format!("rtmp {{ server {{ listen 127.0.0.1:{port}; application app {{ {application} }} }} }}")
        })
    }

    /// Starts it as a proxy for HTTP on a port of its own; `server` is what stands in the server's block.
    pub fn proxy(dir: &TempDir, server: &str) -> Self {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {}/{what};\n", dir.path().display()))
            .concat();
        Self::run(dir, "", |port| {
            format!("http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; {server} }} }}")
        })
    }

    fn run(dir: &TempDir, modules: &str, block: impl Fn(u16) -> String) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let log = dir.path().join("nginx-error.log");
        let config = dir.path().join("nginx.conf");
        let text = format!(
            "{modules}daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nerror_log {1} info;\n\
             events {{ worker_connections 64; }}\n{2}\n",
            dir.path().display(),
            log.display(),
            block(port),
        );
        std::fs::write(&config, text).expect("a file of ours");
        // Debian keeps it where only root's PATH leads.
        let mut command = if std::path::Path::new("/usr/sbin/nginx").exists() {
            std::process::Command::new("/usr/sbin/nginx")
        } else {
            tool("nginx", "libnginx-mod-rtmp")
        };
        command.arg("-e").arg(&log).arg("-p").arg(dir.path()).arg("-c").arg(&config);
        let process = Running::start(command, dir.path().join("nginx.log"));
        wait_for("nginx to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Self { port, log, _process: process }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The URL of a stream in its application.
    pub fn url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/app/{name}", self.port)
    }

    /// Waits for a line in its log that contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("\"{text}\" in nginx's log"), || {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            log.contains(text).then_some(())
        });
    }
}
