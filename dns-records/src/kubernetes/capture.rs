//! Which names of the internet does a namespace capture through the search list? (CVE-2022-2837)

/// Whether a namespace of this name answers for names below a top-level domain: with the usual search list, `x.com` asked
/// in a Pod is the Service `x` of namespace `com`.
pub(super) fn is_top_level_domain(label: &str) -> bool {
    TOP_LEVEL_DOMAINS
        .iter()
        .any(|group| group.split_ascii_whitespace().any(|domain| domain.eq_ignore_ascii_case(label)))
}

/// The domains of the first hour, the country codes, and of the newer ones those that hosts are often found in. Not the
/// whole of [IANA's list](https://data.iana.org/TLD/tlds-alpha-by-domain.txt): `shop`, `data` and `team` are on it, and a
/// warning for every namespace named after a common word would not be read.
const TOP_LEVEL_DOMAINS: [&str; 3] = [
    "aero arpa asia biz cat com coop edu gov info int jobs mil mobi museum name net org post pro tel travel xxx",
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg \
     ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi \
     gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky \
     kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl \
     no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr \
     ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za \
     zm zw",
    "app blog cloud club dev icu ink link live moe mov ninja online page rocks site space studio tech top vip wang website wiki \
     win world wtf xyz zip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_the_internet_are_known_and_usual_namespaces_are_not() {
        for domain in ["com", "net", "org", "io", "dev", "de", "zw", "xyz", "COM"] {
            assert!(is_top_level_domain(domain), "{domain}");
        }
        for namespace in ["default", "kube-system", "payments", "staging", "test", "", "local", "shop"] {
            assert!(!is_top_level_domain(namespace), "{namespace}");
        }
    }
}
