//! KubeProxyConfiguration and KubeletConfiguration.

use super::Shape::{Bool, Int, Opaque, String, Struct};
use super::meta::{META, STRINGS};
use super::tables;

tables! {
    KUBE_PROXY complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "bindAddress": String,
        "bindAddressHardFail": Bool,
        "clientConnection": Struct(&CLIENT_CONNECTION),
        "clusterCIDR": String,
        "configSyncPeriod": String,
        "conntrack": Struct(&CONNTRACK),
        "detectLocal": Struct(&DETECT_LOCAL),
        "detectLocalMode": String,
        "enableProfiling": Bool,
        "featureGates": Opaque,
        "healthzBindAddress": String,
        "hostnameOverride": String,
        "iptables": Struct(&IPTABLES),
        "ipvs": Struct(&IPVS),
        "logging": Opaque,
        "metricsBindAddress": String,
        "mode": String,
        "nftables": Struct(&NFTABLES),
        "nodePortAddresses": STRINGS,
        "oomScoreAdj": Int,
        "portRange": String,
        "showHiddenMetricsForVersion": String,
        "windowsRunAsService": Bool,
        "winkernel": Opaque,
    }

    CLIENT_CONNECTION complete {
        "acceptContentTypes": String,
        "burst": Int,
        "contentType": String,
        "kubeconfig": String,
        "qps": Opaque,
    }

    CONNTRACK complete {
        "maxPerCore": Int,
        "min": Int,
        "tcpBeLiberal": Bool,
        "tcpCloseWaitTimeout": String,
        "tcpEstablishedTimeout": String,
        "udpStreamTimeout": String,
        "udpTimeout": String,
    }

    DETECT_LOCAL complete {
        "bridgeInterface": String,
        "interfaceNamePrefix": String,
    }

    IPTABLES complete {
        "localhostNodePorts": Bool,
        "masqueradeAll": Bool,
        "masqueradeBit": Int,
        "minSyncPeriod": String,
        "syncPeriod": String,
    }

    IPVS complete {
        "excludeCIDRs": STRINGS,
        "minSyncPeriod": String,
        "scheduler": String,
        "strictARP": Bool,
        "syncPeriod": String,
        "tcpFinTimeout": String,
        "tcpTimeout": String,
        "udpTimeout": String,
    }

    NFTABLES complete {
        "masqueradeAll": Bool,
        "masqueradeBit": Int,
        "minSyncPeriod": String,
        "syncPeriod": String,
    }

    /// Of the kubelet's many settings those that concern names and addresses, and what resembles them.
    KUBELET partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "address": String,
        "authentication": Opaque,
        "authorization": Opaque,
        "cgroupDriver": String,
        "clusterDNS": STRINGS,
        "clusterDomain": String,
        "featureGates": Opaque,
        "hairpinMode": String,
        "healthzBindAddress": String,
        "healthzPort": Int,
        "iptablesDropBit": Int,
        "iptablesMasqueradeBit": Int,
        "logging": Opaque,
        "makeIPTablesUtilChains": Bool,
        "maxPods": Int,
        "podCIDR": String,
        "podPidsLimit": Int,
        "podsPerCore": Int,
        "port": Int,
        "providerID": String,
        "readOnlyPort": Int,
        "resolvConf": String,
        "staticPodPath": String,
        "staticPodURL": String,
    }
}
