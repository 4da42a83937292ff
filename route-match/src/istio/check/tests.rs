//! Rules of admission, one object each.

use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::Kind;
use svc_model::check::Level;

/// Fields of the errors about an object of this spec; those of warnings have a `?` behind them.
fn fields(kind: Kind, spec: &Value) -> Vec<String> {
    let object = json!({"metadata": {"name": "a", "namespace": "own"}, "spec": spec});
    let object = kind.deserialize(object).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let findings = super::object(&object);
    assert!(findings.iter().all(|finding| finding.object == format!("{}/own/a", kind.in_manifest())));
    findings.iter().map(|f| if f.level == Level::Error { f.field.clone() } else { format!("{}?", f.field) }).collect()
}

fn expect(kind: Kind, cases: &[(Value, &[&str])]) {
    for (spec, expected) in cases {
        assert_eq!(fields(kind, spec), *expected, "{spec}");
    }
}

/// A spec with one http rule.
fn http(rule: Value) -> Value {
    json!({"hosts": ["a.b"], "http": [rule]})
}

/// A spec with one http rule that leads somewhere.
fn with(more: Value) -> Value {
    let mut rule = json!({"route": [{"destination": {"host": "a"}}]});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    http(rule)
}

#[test]
fn hosts_and_gateways_of_virtual_services() {
    let rules = json!([{"route": [{"destination": {"host": "a"}}]}]);
    let spec = |hosts: Value, gateways: Value| json!({"hosts": hosts, "gateways": gateways, "http": rules});
    expect(
        Kind::VirtualService,
        &[
            (spec(json!(["reviews", "*.a.b", "10.0.0.1"]), json!([])), &[]),
            (spec(json!(["*"]), json!(["edge", "infra/edge", "./edge"])), &[]),
            (spec(json!(["*"]), json!(["edge", "mesh"])), &["spec.hosts[0]"]),
            (spec(json!(["a..b", "c_d"]), json!([])), &["spec.hosts[0]", "spec.hosts[1]"]),
            (spec(json!(["a.b", "x", "*.b", "x"]), json!([])), &["spec.hosts[2]", "spec.hosts[3]"]),
            (
                spec(json!(["a"]), json!(["a/b/c", "/x", "edge.infra"])),
                &["spec.gateways[0]", "spec.gateways[1]", "spec.gateways[2]?"],
            ),
            (json!({"hosts": ["a"]}), &["spec"]),
            (
                json!({"gateways": ["edge"], "tcp": [{"route": [{"destination": {"host": "a"}}]}]}),
                &["spec.gateways", "spec.tcp"],
            ),
        ],
    );
}

#[test]
fn a_rule_has_one_action() {
    let redirect = json!({"uri": "/x"});
    let response = json!({"status": 200});
    expect(
        Kind::VirtualService,
        &[
            (http(json!({})), &["spec.http[0]"]),
            (with(json!({"redirect": redirect})), &["spec.http[0]"]),
            (http(json!({"redirect": redirect, "directResponse": response})), &["spec.http[0]"]),
            (
                http(json!({"redirect": redirect, "rewrite": {"uri": "/"}, "fault": {"delay": {"fixedDelay": "1s"}}})),
                &["spec.http[0].rewrite", "spec.http[0].fault"],
            ),
            (http(json!({"delegate": {"name": "d"}, "rewrite": {"uri": "/"}})), &[]),
            (http(json!({"delegate": {"namespace": "d"}})), &["spec.http[0].delegate.name"]),
            (with(json!({"delegate": {"name": "d"}})), &["spec.http[0]"]),
            (json!({"http": [{"delegate": {"name": "d"}}]}), &["spec.http[0].delegate"]),
        ],
    );
}

#[test]
fn redirects_responses_and_rewrites() {
    let redirect = |redirect: Value| http(json!({"redirect": redirect}));
    let by = |uri: Value| http(json!({"match": [{"uri": uri}], "redirect": {"prefixRewrite": "/x"}}));
    expect(
        Kind::VirtualService,
        &[
            (redirect(json!({})), &["spec.http[0].redirect"]),
            (redirect(json!({"derivePort": "FROM_REQUEST_PORT", "redirectCode": 308})), &[]),
            (redirect(json!({"uri": "/", "prefixRewrite": "/"})), &["spec.http[0].redirect.prefixRewrite"]),
            (redirect(json!({"uri": "/", "redirectCode": 200})), &["spec.http[0].redirect.redirectCode"]),
            (redirect(json!({"scheme": "ftp"})), &["spec.http[0].redirect.scheme"]),
            (by(json!({"prefix": "/a"})), &[]),
            (by(json!({"exact": "/a"})), &["spec.http[0].redirect.prefixRewrite"]),
            (http(json!({"directResponse": {"status": 199}})), &["spec.http[0].directResponse.status"]),
            (http(json!({"directResponse": {"status": 600}})), &["spec.http[0].directResponse.status"]),
            (with(json!({"rewrite": {}})), &["spec.http[0].rewrite"]),
            (
                with(json!({"rewrite": {"uri": "/", "uriRegexRewrite": {"match": "("}}})),
                &[
                    "spec.http[0].rewrite.uriRegexRewrite",
                    "spec.http[0].rewrite.uriRegexRewrite.match",
                    "spec.http[0].rewrite.uriRegexRewrite.rewrite",
                ],
            ),
        ],
    );
}

#[test]
fn conditions_of_rules() {
    let found = |found: Value| with(json!({"match": [found]}));
    expect(
        Kind::VirtualService,
        &[
            (found(json!({"uri": {"prefix": ""}})), &[]),
            (found(json!({"method": {"prefix": ""}})), &["spec.http[0].match[0].method.prefix"]),
            (found(json!({"uri": {"regex": ""}})), &["spec.http[0].match[0].uri.regex"]),
            (found(json!({"uri": {"regex": "(?=a)"}})), &["spec.http[0].match[0].uri.regex"]),
            (found(json!({"uri": {"exact": "/", "prefix": "/"}})), &["spec.http[0].match[0].uri"]),
            (
                found(json!({"headers": {"x-a": {}, ":path": {"exact": "/"}, "a b": {}}})),
                &["spec.http[0].match[0].headers[a b]"],
            ),
            (found(json!({"headers": {"x": {"regex": "*"}}})), &["spec.http[0].match[0].headers[x].regex"]),
            (found(json!({"withoutHeaders": {"x": {"regex": "*"}}})), &[]),
            (
                found(json!({"headers": {"@request.auth.claims.sub": {"exact": "a"}}})),
                &["spec.http[0].match[0].headers[@request.auth.claims.sub]"],
            ),
            (found(json!({"queryParams": {"q": {"prefix": ""}}})), &["spec.http[0].match[0].queryParams[q].prefix"]),
            (
                found(json!({"port": 70000, "sourceLabels": {"a/": "b"}, "sourceNamespace": "a.b"})),
                &[
                    "spec.http[0].match[0].port",
                    "spec.http[0].match[0].sourceLabels",
                    "spec.http[0].match[0].sourceNamespace",
                ],
            ),
        ],
    );
}

#[test]
fn destinations_and_what_goes_with_them() {
    let route = |route: Value| http(json!({"route": route}));
    expect(
        Kind::VirtualService,
        &[
            (
                route(json!([{"weight": 0, "destination": {"host": "a", "subset": "v_1", "port": {}}}])),
                &["spec.http[0].route[0].destination.subset", "spec.http[0].route[0].destination.port.number"],
            ),
            (route(json!([{"destination": {"host": "a"}}, {"destination": {"host": "b"}}])), &["spec.http[0].route"]),
            (
                route(json!([{"weight": -1, "destination": {"host": "*"}}, {"weight": 1}])),
                &[
                    "spec.http[0].route[0].destination.host",
                    "spec.http[0].route[1].destination",
                    "spec.http[0].route[0].weight",
                ],
            ),
            (
                with(json!({"mirror": {"host": "m"}, "mirrors": [{"destination": {"host": "m"}}]})),
                &["spec.http[0].mirrors"],
            ),
            (
                with(json!({"mirror": {"host": "m"}, "mirrorPercentage": {"value": 100.5}})),
                &["spec.http[0].mirrorPercentage.value"],
            ),
            (
                with(json!({"timeout": "1", "retries": {"attempts": 0, "retryOn": "5xx"}})),
                &["spec.http[0].retries.attempts", "spec.http[0].timeout"],
            ),
            (
                with(json!({"retries": {"attempts": 1, "retryOn": "503,reset,often", "perTryTimeout": "0s"}})),
                &["spec.http[0].retries.perTryTimeout", "spec.http[0].retries.retryOn"],
            ),
            (with(json!({"fault": {}})), &["spec.http[0].fault"]),
            (
                with(json!({"fault": {"abort": {"grpcStatus": "NO", "percentage": {"value": -1}}}})),
                &["spec.http[0].fault.abort.percentage.value", "spec.http[0].fault.abort.grpcStatus"],
            ),
            (
                with(json!({"rewrite": {"authority": "x"}, "headers": {"request": {"set": {"Host": "y"}}}})),
                &["spec.http[0].headers.request.set[Host]"],
            ),
            (
                with(json!({"headers": {"request": {"add": {"a": "1\r\nb: 2"}, "remove": ["host"]},
                "response": {"set": {":status": "1"}}}})),
                &[
                    "spec.http[0].headers.request.add[a]",
                    "spec.http[0].headers.request.remove[0]",
                    "spec.http[0].headers.response.set[:status]",
                ],
            ),
            (
                with(
                    json!({"corsPolicy": {"allowOrigins": [{"exact": ""}], "allowMethods": ["GET", "get"], "maxAge": "1500ms"}}),
                ),
                &[
                    "spec.http[0].corsPolicy.allowOrigins[0]",
                    "spec.http[0].corsPolicy.allowMethods[1]",
                    "spec.http[0].corsPolicy.maxAge",
                ],
            ),
        ],
    );
}

#[test]
fn rules_for_connections() {
    let tls = |rule: Value| json!({"hosts": ["*.a.b"], "gateways": ["g"], "tls": [rule]});
    let to = json!([{"destination": {"host": "a"}}]);
    expect(
        Kind::VirtualService,
        &[
            (tls(json!({"match": [{"sniHosts": ["x.a.b", "*.y.a.b"]}], "route": to})), &[]),
            (tls(json!({"route": to})), &["spec.tls[0].match"]),
            (tls(json!({"match": [{}]})), &["spec.tls[0].match[0].sniHosts", "spec.tls[0].route"]),
            (
                tls(json!({"match": [{"sniHosts": ["a.b", "10.0.0.1"]}], "route": to})),
                &["spec.tls[0].match[0].sniHosts[0]", "spec.tls[0].match[0].sniHosts[1]?"],
            ),
            (
                json!({"hosts": ["outbound_.80_._.a.b"], "gateways": ["g"], "tls":
                [{"match": [{"sniHosts": ["outbound_.80_._.a.b"]}], "route": to}]}),
                &[],
            ),
            (
                json!({"hosts": ["a"], "tcp": [{"match": [{"destinationSubnets": ["10.0.0.0/33"]}]}]}),
                &["spec.tcp[0].match[0].destinationSubnets[0]", "spec.tcp[0].route"],
            ),
        ],
    );
}

#[test]
fn export_to_names_each_namespace_once() {
    let spec = |list: Value| json!({"host": "a", "exportTo": list});
    expect(
        Kind::DestinationRule,
        &[
            (spec(json!([".", "b"])), &[]),
            (spec(json!([".", "own"])), &["spec.exportTo[1]"]),
            (spec(json!(["*", "b"])), &["spec.exportTo"]),
            (spec(json!(["~"])), &["spec.exportTo[0]"]),
        ],
    );
    let entry = json!({"hosts": ["a.b"], "exportTo": ["~"]});
    expect(Kind::ServiceEntry, &[(entry, &[])]);
}

#[test]
fn servers_of_gateways() {
    let server = |more: Value| {
        let mut server = json!({"port": {"number": 443, "name": "a", "protocol": "HTTPS"}, "hosts": ["a.b"]});
        server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"servers": [server]})
    };
    let tls = |tls: Value| server(json!({"tls": tls}));
    let plain = json!({"number": 80, "name": "a", "protocol": "HTTP"});
    let tcp = json!({"number": 9000, "name": "a", "protocol": "TCP"});
    expect(
        Kind::IstioGateway,
        &[
            (json!({}), &["spec.servers"]),
            (json!({"servers": [{"hosts": []}]}), &["spec.servers[0].hosts", "spec.servers[0].port"]),
            (
                server(json!({"port": {"protocol": "SCTP"}})),
                &["spec.servers[0].port.number", "spec.servers[0].port.protocol", "spec.servers[0].port.name"],
            ),
            (
                server(
                    json!({"hosts": ["short", "a*.b.c", "ns/x.y", "./*", "*/*", "10.0.0.1", "a_b/x.y"], "tls": {"mode": "ISTIO_MUTUAL"}}),
                ),
                &["spec.servers[0].hosts[0]", "spec.servers[0].hosts[1]", "spec.servers[0].hosts[6]"],
            ),
            (server(json!({})), &["spec.servers[0].tls"]),
            (server(json!({"port": plain, "tls": {"httpsRedirect": true}})), &[]),
            (server(json!({"port": plain, "tls": {"credentialName": "c"}})), &["spec.servers[0].tls"]),
            (
                server(json!({"port": plain, "tls": {"mode": "SIMPLE", "credentialName": "c"}})),
                &["spec.servers[0].tls"],
            ),
            (server(json!({"port": tcp, "tls": {"mode": "SIMPLE", "credentialName": "c"}})), &["spec.servers[0].tls"]),
            (tls(json!({"mode": "SIMPLE", "credentialName": "c"})), &[]),
            (tls(json!({"mode": "SIMPLE"})), &["spec.servers[0].tls"]),
            (tls(json!({"mode": "MUTUAL", "serverCertificate": "c", "privateKey": "k"})), &["spec.servers[0].tls"]),
            (tls(json!({"mode": "SIMPLE", "credentialName": "c", "credentialNames": ["d"]})), &["spec.servers[0].tls"]),
            (tls(json!({"mode": "ISTIO_MUTUAL", "credentialName": "c"})), &["spec.servers[0].tls"]),
            (tls(json!({"credentialName": "c"})), &["spec.servers[0].tls?"]),
            (
                tls(json!({"credentialName": "c", "credentialNames": ["d"]})),
                &["spec.servers[0].tls?", "spec.servers[0].tls"],
            ),
            (tls(json!({"mode": "SIMPLE", "credentialName": "c", "caCrl": "r"})), &["spec.servers[0].tls.caCrl?"]),
            (
                tls(json!({"mode": "SIMPLE", "serverCertificate": "c", "privateKey": "k", "caCrl": "r"})),
                &["spec.servers[0].tls.caCrl"],
            ),
            (
                tls(
                    json!({"mode": "SIMPLE", "tlsCertificates": vec![json!({"serverCertificate": "c", "privateKey": "k"}); 3]}),
                ),
                &["spec.servers[0].tls.tlsCertificates?"],
            ),
            (
                tls(json!({"mode": "ISTIO_MUTUAL", "cipherSuites": ["AES128-SHA", "-x", "FAST", "AES128-SHA"]})),
                &["spec.servers[0].tls.cipherSuites[2]?", "spec.servers[0].tls.cipherSuites[3]?"],
            ),
            (
                tls(json!({"mode": "ISTIO_MUTUAL", "minProtocolVersion": "TLSV1_1"})),
                &["spec.servers[0].tls.minProtocolVersion?"],
            ),
            (tls(json!({"mode": "simple"})), &["spec.servers[0].tls.mode"]),
            (server(json!({"port": {"name": "s", "protocol": "HTTP"}, "bind": "unix:///run/s"})), &[]),
            (server(json!({"port": plain, "bind": "here"})), &["spec.servers[0].bind"]),
            (
                json!({"servers": [{"port": plain, "hosts": ["*"]}, {"port": plain, "hosts": ["*"]}]}),
                &["spec.servers[1].port.name"],
            ),
        ],
    );
}

#[test]
fn service_entries() {
    let port = json!({"number": 80, "name": "http", "protocol": "HTTP"});
    let entry = |more: Value| {
        let mut entry = json!({"hosts": ["a.b"], "ports": [port]});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let tcp = json!([{"number": 9000, "name": "tcp", "protocol": "TCP"}]);
    expect(
        Kind::ServiceEntry,
        &[
            (entry(json!({"hosts": []})), &["spec.hosts"]),
            (entry(json!({"hosts": ["*", "a b"]})), &["spec.hosts[0]", "spec.hosts[1]"]),
            (entry(json!({"hosts": ["*.a.b"], "resolution": "DNS"})), &["spec.hosts[0]"]),
            (entry(json!({"hosts": ["a.b"], "resolution": "DYNAMIC_DNS"})), &["spec.hosts[0]"]),
            (entry(json!({"addresses": ["10.0.0.0/8"], "resolution": "DNS"})), &["spec.addresses[0]"]),
            (entry(json!({"addresses": ["10.0.0.0/8"], "resolution": "STATIC"})), &[]),
            (entry(json!({"ports": [port, port]})), &["spec.ports[1].name", "spec.ports[1].number"]),
            (entry(json!({"hosts": ["a.b", "c.d"], "ports": tcp, "addresses": ["10.0.0.1"]})), &[]),
            (entry(json!({"ports": tcp})), &["spec.addresses?"]),
            (entry(json!({"ports": tcp, "resolution": "DNS"})), &[]),
            (
                entry(
                    json!({"hosts": ["a.b", "c.d"], "ports": [port, {"number": 443, "name": "tls", "protocol": "TLS"}],
                "addresses": ["10.0.0.1"], "resolution": "DNS"}),
                ),
                &["spec.addresses?"],
            ),
            (
                entry(json!({"resolution": "DNS", "endpoints": [{"address": "unix:///run/s"}]})),
                &["spec.endpoints[0].address"],
            ),
            (entry(json!({"resolution": "STATIC", "endpoints": [{"address": "unix:///run/s"}]})), &[]),
            (
                entry(json!({"resolution": "STATIC", "endpoints": [{"address": "unix:///run/s"}],
                "ports": [port, {"number": 81, "name": "b", "protocol": "HTTP"}]})),
                &["spec.endpoints[0].address"],
            ),
            (entry(json!({"hosts": ["a.b", "c.d"], "ports": tcp, "resolution": "DNS"})), &["spec.ports[0].protocol"]),
            (entry(json!({"endpoints": [{"address": "1.2.3.4"}]})), &["spec.endpoints"]),
            (
                entry(json!({"resolution": "STATIC", "endpoints": [{"address": "a.b", "ports": {"x": 0}}, {}]})),
                &[
                    "spec.endpoints[0].address",
                    "spec.endpoints[0].ports[x]",
                    "spec.endpoints[0].ports[x]",
                    "spec.endpoints[1].address",
                ],
            ),
            (
                entry(
                    json!({"resolution": "STATIC", "workloadSelector": {"labels": {"a": "*"}}, "endpoints": [{"address": "1.2.3.4"}]}),
                ),
                &["spec.workloadSelector.labels", "spec.workloadSelector"],
            ),
            (entry(json!({"resolution": "dns"})), &["spec.resolution"]),
        ],
    );
    expect(
        Kind::WorkloadEntry,
        &[
            (json!({"address": "unix:///run/s"}), &[]),
            (json!({"address": "unix://s", "ports": {"a": 1}}), &["spec.address", "spec.ports"]),
            (json!({"network": "n"}), &["spec.address?"]),
            (json!({}), &["spec.address"]),
        ],
    );
    let group = |probe: Value| json!({"template": {}, "probe": probe});
    expect(
        Kind::WorkloadGroup,
        &[
            (json!({}), &["spec.template"]),
            (json!({"template": {}}), &[]),
            (group(json!({})), &["spec.probe"]),
            (group(json!({"httpGet": {"port": 1}, "tcpSocket": {"port": 1}})), &["spec.probe"]),
            (
                group(json!({"periodSeconds": -1, "httpGet": {"scheme": "ftp", "httpHeaders": [{"name": "a b"}]}})),
                &[
                    "spec.probe.periodSeconds",
                    "spec.probe.httpGet.port",
                    "spec.probe.httpGet.scheme",
                    "spec.probe.httpGet.httpHeaders[0].name",
                ],
            ),
            (group(json!({"tcpSocket": {}})), &["spec.probe.tcpSocket.port"]),
            (group(json!({"exec": {"command": []}})), &["spec.probe.exec.command"]),
            (group(json!({"exec": {"command": ["true"]}})), &[]),
            (group(json!({"grpc": {"port": 1}})), &[]),
        ],
    );
}

#[test]
fn waypoints_and_allocated_addresses_are_labels_of_service_entries() {
    let entry = |labels: Value, spec: Value| {
        let object = json!({"metadata": {"name": "a", "labels": labels}, "spec": spec});
        let object = Kind::ServiceEntry.deserialize(object).expect("an object");
        let findings = super::object(&object);
        findings.into_iter().map(|finding| finding.field).collect::<Vec<_>>()
    };
    let dynamic = json!({"hosts": ["*.a.b"], "location": "MESH_INTERNAL", "resolution": "DYNAMIC_DNS",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]});
    assert_eq!(entry(json!({"istio.io/use-waypoint": "w"}), dynamic.clone()), ["spec.location"]);
    assert_eq!(entry(json!({"istio.io/use-waypoint": "None"}), dynamic), Vec::<String>::new());
    let tcp =
        json!({"hosts": ["a.b"], "resolution": "DNS", "ports": [{"number": 80, "name": "tcp", "protocol": "TCP"}]});
    assert_eq!(entry(json!({"networking.istio.io/enable-autoallocate-ip": "false"}), tcp), ["spec.addresses"]);
}

#[test]
fn percent_signs_in_headers_begin_commands() {
    let value = |value: &str| with(json!({"headers": {"response": {"set": {"x": value}}}}));
    for good in [
        "foo",
        "100%%",
        "a %HOSTNAME% b",
        "%DOWNSTREAM_PEER_CERT_V_END(%b %d %H:%M:%S %Y %Z)%",
        "%DYNAMIC_METADATA([\"a\", \"b\"]) %",
        "%REQ(a\\)b)%",
    ] {
        assert_eq!(fields(Kind::VirtualService, &value(good)), Vec::<String>::new(), "{good}");
    }
    for bad in ["abc%123", "%START_TIME%%", "%", "%REQ(a%", "%REQ(a)b%", "%%%"] {
        let expected = ["spec.http[0].headers.response.set[x]"];
        assert_eq!(fields(Kind::VirtualService, &value(bad)), expected, "{bad}");
    }
}

#[test]
fn destination_rules() {
    let policy = |policy: Value| json!({"host": "a", "trafficPolicy": policy});
    let balancer = |balancer: Value| policy(json!({"loadBalancer": balancer}));
    let locality = |setting: Value| {
        policy(json!({"loadBalancer": {"localityLbSetting": setting}, "outlierDetection": {"interval": "1s"}}))
    };
    const AT: &str = "spec.trafficPolicy";
    let at = |field: &str| format!("{AT}.{field}");
    let zones = |more: Value| {
        let mut setting = json!({"zoneAwareLbSetting": {"failoverPriority": ["topology.kubernetes.io/zone"]}});
        setting.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy(json!({"loadBalancer": setting, "outlierDetection": {"interval": "1s"}}))
    };
    let keepalive = |probes: Value| policy(json!({"connectionPool": {"http": {"http2KeepAlive": probes}}}));
    let cases: [(Value, &[&str]); 17] = [
        (zones(json!({})), &["loadBalancer.zoneAwareLbSetting.failoverPriority[0]"]),
        (
            zones(json!({"localityLbSetting": {}})),
            &["loadBalancer.zoneAwareLbSetting", "loadBalancer.zoneAwareLbSetting.failoverPriority[0]"],
        ),
        (keepalive(json!({"interval": "1s", "timeout": "1s"})), &[]),
        (
            keepalive(json!({"interval": "1.5ms"})),
            &["connectionPool.http.http2KeepAlive.interval", "connectionPool.http.http2KeepAlive.timeout"],
        ),
        (policy(json!({})), &[""]),
        (balancer(json!({"simple": "FASTEST"})), &["loadBalancer.simple"]),
        (
            balancer(json!({"consistentHash": {"useSourceIp": true, "httpHeaderName": "x"}})),
            &["loadBalancer.consistentHash"],
        ),
        (
            balancer(json!({"consistentHash": {"httpCookie": {"name": ""}}})),
            &["loadBalancer.consistentHash.httpCookie.name"],
        ),
        (
            balancer(json!({"consistentHash": {"useSourceIp": true, "maglev": {"tableSize": 100}}})),
            &["loadBalancer.consistentHash.maglev.tableSize"],
        ),
        (balancer(json!({"consistentHash": {"useSourceIp": true, "maglev": {"tableSize": 65537}}})), &[]),
        (locality(json!({"distribute": [{"from": "a/*", "to": {"a/*": 60, "b": 40}}]})), &[]),
        (
            locality(json!({"distribute": [{"from": "a", "to": {"a/x": 60, "a": 30}}]})),
            &["loadBalancer.localityLbSetting.distribute[0].to", "loadBalancer.localityLbSetting.distribute[0].to"],
        ),
        (locality(json!({"failover": [{"from": "a", "to": "a"}]})), &["loadBalancer.localityLbSetting.failover[0].to"]),
        (
            policy(json!({"connectionPool": {"tcp": {"connectTimeout": "1", "idleTimeout": "0s"}}})),
            &["connectionPool.tcp.connectTimeout"],
        ),
        (policy(json!({"outlierDetection": {"maxEjectionPercent": 101}})), &["outlierDetection.maxEjectionPercent"]),
        (policy(json!({"tls": {"mode": "MUTUAL"}})), &["tls.clientCertificate", "tls.privateKey"]),
        (
            policy(json!({"portLevelSettings": [{"port": {"number": 80}}, {"tls": {"mode": "SIMPLE"}}]})),
            &["portLevelSettings[0]", "portLevelSettings[1].port"],
        ),
    ];
    for (spec, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|f| if f.is_empty() { AT.to_owned() } else { at(f) }).collect();
        assert_eq!(fields(Kind::DestinationRule, &spec), expected, "{spec}");
    }
    expect(
        Kind::DestinationRule,
        &[
            (json!({}), &["spec.host"]),
            (json!({"host": "10.0.0.1"}), &["spec.host"]),
            (
                json!({"host": "a", "subsets": [{"name": "v1"}, {"name": "v1"}, {}]}),
                &["spec.subsets[1].name", "spec.subsets[2].name"],
            ),
            (
                json!({"host": "a", "workloadSelector": {"matchLabels": {"a": "b"}}, "exportTo": ["b"]}),
                &["spec.exportTo"],
            ),
        ],
    );
}

#[test]
fn sidecars() {
    let egress = |hosts: Value| json!({"egress": [{"hosts": hosts}]});
    let port = json!({"number": 80, "protocol": "HTTP"});
    expect(
        Kind::Sidecar,
        &[
            (json!({}), &["spec"]),
            (egress(json!(["./*", "infra/a.b", "*/*.c.d", "~/*"])), &[]),
            (
                egress(json!(["a.b", "x_y/a.b", "ns/short"])),
                &["spec.egress[0].hosts[0]", "spec.egress[0].hosts[1]", "spec.egress[0].hosts[2]"],
            ),
            (egress(json!(["own/*", "./a.b"])), &["spec.egress[0].hosts[1]?"]),
            (json!({"egress": [{"hosts": ["./*"]}, {"port": port, "hosts": ["./*"]}]}), &["spec.egress[0].port"]),
            (
                json!({"egress": [{"port": port, "hosts": ["./*"]}, {"port": port, "hosts": ["./*"]}]}),
                &["spec.egress[1].port.number"],
            ),
            (
                json!({"ingress": [{"port": port, "defaultEndpoint": "10.0.0.1:80", "tls": {"mode": "ISTIO_MUTUAL"}}]}),
                &["spec.ingress[0].defaultEndpoint", "spec.ingress[0].tls.mode", "spec.ingress[0].tls"],
            ),
            (
                json!({"outboundTrafficPolicy": {"egressProxy": {"host": "a"}}}),
                &["spec.outboundTrafficPolicy.egressProxy", "spec.outboundTrafficPolicy.egressProxy.port"],
            ),
            (json!({"workloadSelector": {}, "egress": [{"hosts": ["./*"]}]}), &["spec.workloadSelector.labels?"]),
            (
                json!({"ingress": [{"port": {"number": 90, "protocol": "TCP"}, "connectionPool": {"http": {"maxRetries": 1}}}]}),
                &["spec.ingress[0].connectionPool.http?"],
            ),
        ],
    );
}
