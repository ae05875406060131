//! File mode.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{DATA_PIPES, PIPES, World};

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn a_staged_file_is_an_append() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    let info = world
        .call(Method::POST, &format!("{PIPES}/{T}:pipe-info"), "{\"generate_new_token\":true}")
        .await
        .json();
    let stage = &info["rowset_stage_location"];
    assert_eq!(stage["storage_endpoint"], "localhost", "the host that was called, without a scheme");
    let key = STANDARD.decode(info["pipe_encryption_info"]["pipe_key"].as_str().unwrap()).unwrap();
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
    let iv = [7_u8; 16];
    let mut file = zstd::encode_all(&b"{\"a\":1}\n{\"a\":2}\n"[..], 1).unwrap();
    key.less_safe_encrypt(&mut file, EncryptionContext::Iv128(FixedLength::from(iv))).unwrap();
    let path = format!("{}1.ndjson", stage["path_prefix"].as_str().unwrap());
    let length = file.len();
    let uri = format!("/{}/{path}?x-id=PutObject", stage["bucket_name"].as_str().unwrap());
    let half = length / 2;
    let chunks = [
        format!("{half:x}\r\n").as_bytes(),
        &file[..half],
        format!("\r\n{:x};chunk-signature=0\r\n", length - half).as_bytes(),
        &file[half..],
        b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    ]
    .concat();
    let chunked = [("content-encoding", "aws-chunked")];
    assert_eq!(world.send(Method::PUT, &uri, &chunked, "zz").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.send(Method::PUT, &uri, &chunked, chunks).await.status, StatusCode::OK);
    let token = world.open(T, "c").await.next();
    let fragment = json!([{
        "file_path": format!("{}/{path}", stage["bucket_name"].as_str().unwrap()), "content_type": "application/x-ndjson", "iv_base64": STANDARD.encode(iv),
        "fragment_length_bytes": length, "fragment_start_byte_offset": 0, "fragment_row_count": 2,
        "fragment_start_offset_token": "1", "fragment_end_offset_token": "2",
    }])
    .to_string();
    let uri = format!("{DATA_PIPES}/{T}/channels/c/filebuffer?continuationToken={token}&requestId=r");
    let next = world.call(Method::POST, &uri, fragment.clone()).await.next();
    assert_ne!(next, token);
    world.committed(T, "c", "2").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "2"]);
    let again = world.call(Method::POST, &uri, fragment.clone()).await.next();
    assert_eq!(again, next, "a repetition is answered although the file is used up");
    let uri = uri.replace(&token, &next);
    assert_eq!(world.call(Method::POST, &uri, fragment).await.code(), "ERR_FILE_FRAGMENT");
}
