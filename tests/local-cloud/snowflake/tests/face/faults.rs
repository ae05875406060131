//! Troubles on demand.

use http::StatusCode;
use local_snowflake::{Fault, Route, Trouble};

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn faults_strike_where_and_how_often_they_should() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    let faults = world.snowflake.faults();
    let token = world.open(T, "c").await.next();
    faults.add(Fault { skip: 1, times: Some(2), ..Fault::once(Route::Append, Fault::refuse(503, "ERR")) });
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    for _ in 0..2 {
        let reply = world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "ERR"));
    }
    let held = world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    assert_eq!(faults.fired(), 2);
    faults.clear();
    let bare = "\"ERR_GENERAL_EXCEPTION_RETRY_REQUEST\"".to_owned();
    faults.add(Fault::once(Route::Append, Trouble::RefuseAfter { status: 500, body: bare.clone() }));
    let reply = world.append(T, "c", &held, ("3", "3"), "{\"a\":3}\n").await;
    assert_eq!((reply.status, reply.text()), (StatusCode::INTERNAL_SERVER_ERROR, bare.as_str()));
    let next = world.append(T, "c", &held, ("3", "3"), "{\"a\":3}\n").await.next();
    assert_ne!(next, held, "the troubled append was done: its repetition gets the next token");
    world.committed(T, "c", "3").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "2", "3"]);
    faults.add(Fault {
        path_contains: "channels/d".into(),
        ..Fault::always(Route::Open, Fault::refuse(410, "GONE"))
    });
    assert_eq!(world.open(T, "c").await.status, StatusCode::OK);
    assert_eq!(world.open(T, "d").await.status, StatusCode::GONE);
    let troubled = world.snowflake.journal().requests().into_iter().filter(|request| request.fault).count();
    assert_eq!(troubled, 4);
}
