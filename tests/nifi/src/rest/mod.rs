//! NiFi's REST API, typed as far as the demo and the tests need it, one file a subject.

mod client;
mod diagnose;
mod extensions;
mod flow;
mod model;
mod observe;
mod parameters;
mod providers;
mod services;
mod verify;

pub use client::{RestClient, wait_for};
pub use diagnose::TimedEvent;
pub use model::{
    AllowableValue, Bulletin, Bundle, Connection, Counter, Descriptor, FlowFileSummary, Nar, Parameter,
    Processor, ProcessorType, ProvenanceEvent, Queue, Service, Verification,
};
pub use providers::FetchedGroup;
