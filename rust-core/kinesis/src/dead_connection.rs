//! A connection on which an answer did not come in time is not used again.
//!
//! The SDK's own rule looks at answers only, so it never hears of one that is missing, and all calls share one
//! connection of HTTP/2: when a firewall forgets it, calls would fail until the kernel gives up, a quarter of an hour
//! later.

use aws_sdk_kinesis::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// Takes the connection of a failed attempt out of use. Attempts must end by their own time-outs: what is dropped is
/// not seen here.
#[derive(Debug)]
pub(crate) struct LeaveDeadConnections;

#[dyn_dispatch_hint]
impl Intercept for LeaveDeadConnections {
    fn name(&self) -> &'static str {
        "LeaveDeadConnections"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let dead = matches!(context.output_or_error(), Some(Err(error)) if error.is_timeout_error());
        let connection = settings.load::<CaptureSmithyConnection>().and_then(CaptureSmithyConnection::get);
        if let (true, Some(connection)) = (dead, connection) {
            connection.poison();
        }
        Ok(())
    }
}
