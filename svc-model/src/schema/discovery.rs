//! EndpointSlice and Endpoints.

use super::Shape::{Bool, Int, List, String, Struct};
use super::meta::{LABELS, META, OBJECT_REFERENCE, STRINGS};
use super::tables;

tables! {
    ENDPOINT_SLICE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "addressType": String,
        "endpoints": List(&Struct(&ENDPOINT)),
        "ports": List(&Struct(&ENDPOINT_PORT)),
    }

    ENDPOINT complete {
        "addresses": STRINGS,
        "conditions": Struct(&ENDPOINT_CONDITIONS),
        "hostname": String,
        "targetRef": Struct(&OBJECT_REFERENCE),
        "deprecatedTopology": LABELS,
        "nodeName": String,
        "zone": String,
        "hints": Struct(&ENDPOINT_HINTS),
    }

    ENDPOINT_SLICE_V1BETA1 complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "addressType": String,
        "endpoints": List(&Struct(&ENDPOINT_V1BETA1)),
        "ports": List(&Struct(&ENDPOINT_PORT)),
    }

    /// The zone stood in `topology`.
    ENDPOINT_V1BETA1 complete {
        "addresses": STRINGS,
        "conditions": Struct(&ENDPOINT_CONDITIONS),
        "hostname": String,
        "targetRef": Struct(&OBJECT_REFERENCE),
        "topology": LABELS,
        "nodeName": String,
        "hints": Struct(&ENDPOINT_HINTS),
    }

    ENDPOINT_CONDITIONS complete {
        "ready": Bool,
        "serving": Bool,
        "terminating": Bool,
    }

    ENDPOINT_HINTS complete {
        "forZones": List(&Struct(&FOR_NAME)),
        "forNodes": List(&Struct(&FOR_NAME)),
    }

    FOR_NAME complete {
        "name": String,
    }

    ENDPOINT_PORT complete {
        "name": String,
        "protocol": String,
        "port": Int,
        "appProtocol": String,
    }

    ENDPOINTS complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "subsets": List(&Struct(&ENDPOINT_SUBSET)),
    }

    ENDPOINT_SUBSET complete {
        "addresses": List(&Struct(&ENDPOINT_ADDRESS)),
        "notReadyAddresses": List(&Struct(&ENDPOINT_ADDRESS)),
        "ports": List(&Struct(&ENDPOINT_PORT)),
    }

    ENDPOINT_ADDRESS complete {
        "ip": String,
        "hostname": String,
        "nodeName": String,
        "targetRef": Struct(&OBJECT_REFERENCE),
    }
}
