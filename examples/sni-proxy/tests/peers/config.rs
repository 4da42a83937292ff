//! How is each program told of the same certificates? As its users would: nginx by servers, the others by certificate.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::World;

/// A server for each certificate, under the certificate's names.
pub(super) fn nginx(directory: &Path, listeners: &[(u16, &World)]) -> Vec<String> {
    let mut text = String::from(
        "daemon off; master_process off; pid pid; error_log log crit;\nevents {}\nhttp {\naccess_log off;\n\
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n",
    );
    for (i, (port, world)) in listeners.iter().enumerate() {
        for (j, certificate) in world.0.iter().enumerate() {
            let default = if j == 0 { " default_server" } else { "" };
            let names = certificate.names.join(" ");
            let path = directory.display();
            writeln!(
                text,
                "server {{ listen 127.0.0.1:{port} ssl{default}; server_name {names}; \
                 ssl_certificate {path}/{i}-{j}.crt; ssl_certificate_key {path}/{i}-{j}.key; return 204; }}"
            )
            .unwrap();
        }
    }
    text.push_str("}\n");
    std::fs::write(directory.join("nginx.conf"), text).unwrap();
    let path = directory.display().to_string();
    ["-p", &path, "-c", "nginx.conf", "-e", "log"].map(str::to_owned).into()
}

/// A list of certificates for each listener.
pub(super) fn haproxy(directory: &Path, listeners: &[(u16, &World)]) -> Vec<String> {
    let mut text = String::from(
        "global\n  maxconn 100\ndefaults\n  mode http\n  timeout client 10s\n  timeout connect 1s\n  timeout server 1s\n",
    );
    let path = directory.display();
    for (i, (port, world)) in listeners.iter().enumerate() {
        let list: String = (0..world.0.len()).map(|j| format!("{path}/{i}-{j}.pem\n")).collect();
        std::fs::write(directory.join(format!("{i}.list")), list).unwrap();
        writeln!(
            text,
            "frontend f{i}\n  bind 127.0.0.1:{port} ssl crt-list {path}/{i}.list\n  http-request return status 204"
        )
        .unwrap();
    }
    std::fs::write(directory.join("haproxy.cfg"), text).unwrap();
    ["-db", "-f", "haproxy.cfg"].map(str::to_owned).into()
}

/// One filter chain with all certificates for each listener.
pub(super) fn envoy(directory: &Path, listeners: &[(u16, &World)]) -> Vec<String> {
    let path = directory.display();
    let listener = |(i, (port, world)): (usize, &(u16, &World))| -> Value {
        let certificates: Vec<Value> = (0..world.0.len())
            .map(|j| {
                json!({
                    "certificate_chain": { "filename": format!("{path}/{i}-{j}.crt") },
                    "private_key": { "filename": format!("{path}/{i}-{j}.key") },
                })
            })
            .collect();
        json!({
            "name": format!("l{i}"),
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{
                "transport_socket": {
                    "name": "tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                        "common_tls_context": { "tls_certificates": certificates },
                    },
                },
                "filters": [{
                    // Waits for the client, who is gone by then. What answers at once closes before the handshake ends.
                    "name": "echo",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo" },
                }],
            }],
        })
    };
    let listeners: Vec<Value> = listeners.iter().enumerate().map(listener).collect();
    let config = json!({ "static_resources": { "listeners": listeners } });
    std::fs::write(directory.join("envoy.json"), config.to_string()).unwrap();
    ["-c", "envoy.json", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"].map(str::to_owned).into()
}
