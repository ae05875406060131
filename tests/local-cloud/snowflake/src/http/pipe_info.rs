//! What Snowflake's own client asks before it opens channels: keys and a stage for its file mode.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::catalog::Path;

/// An answer that lets the client start. The stage leads nowhere: clients of this server stay in row mode.
pub(super) fn answer(pipe: &Path) -> Value {
    let expires = chrono::Utc::now().timestamp_millis() + 3_600_000;
    let stage = json!({
        "location_type": "S3",
        "location": "local-stage",
        "region": "us-west-2",
        "bucket_name": "local-stage",
        "path_prefix": format!("{}/", pipe.name),
        "creds": {"AWS_KEY_ID": "local", "AWS_SECRET_KEY": "local", "AWS_TOKEN": "local"},
        "expiry_time_ms": expires,
        "use_s3_regional_url": false,
    });
    json!({
        "status_code": 0,
        "message": "Success",
        "pipe_encryption_info": {
            "pipe_key": STANDARD.encode([7_u8; 32]),
            "pipe_key_id": 1,
            "diversifier": "local",
            "encryption_version": "AES-CTR-128.1",
        },
        "rowset_stage_location": stage,
        "durable_stage_location": stage,
    })
}
