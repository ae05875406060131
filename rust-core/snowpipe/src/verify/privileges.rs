//! What the role needs on its way to the destination, and what of it is granted.

use bulletin::{Finding, Verdict};

use super::PRIVILEGES;
use crate::api::Api;
use crate::catalog::{self, Grant, Securable, Table, Target};
use crate::config::{Authentication, SinkConfig};
use crate::machine::Fault;
use crate::names;
use crate::request::{Destination, Object};

/// The finding, and whether columns can be added where the table asks for it.
pub(super) struct Checked {
    pub(super) finding: Finding,
    pub(super) evolves: bool,
}

/// A privilege that is needed; OWNERSHIP of the object replaces it.
struct Need {
    privilege: &'static str,
    on: Securable,
}

const EVOLVE: &str = "EVOLVE SCHEMA";

/// Compares what the role was granted with what it needs. `table` is `None` when it is not shown, `target` when the
/// pipe in front of it is not.
pub(super) async fn check(
    api: &Api,
    config: &SinkConfig,
    destination: &Destination,
    target: Option<&Target>,
    table: Option<&Table>,
) -> Checked {
    let skipped = |reason: String| Checked {
        finding: Finding::new(PRIVILEGES, Verdict::Skipped, reason),
        evolves: true,
    };
    let role = match role(api, config).await {
        Ok(Some(role)) => role,
        Ok(None) => return skipped("the session has no role".to_owned()),
        Err(fault) => return skipped(fault.detail),
    };
    let grants = match catalog::grants(api, &role).await {
        Ok(grants) => grants,
        Err(fault) => return skipped(fault.detail),
    };
    let (mut held, mut missing, mut evolves) = (Vec::new(), Vec::new(), true);
    for need in needs(destination, target, table) {
        let Need { privilege, on } = need;
        match holds(api, &role, &grants, privilege, &on, table).await {
            Some(by) => held.push(format!("{by} on {on}")),
            None => {
                evolves &= privilege != EVOLVE;
                let (kind, name) = (on.kind, on.written());
                let grantee = names::role(&role);
                missing.push(format!(
                    "{privilege} on {on} (GRANT {privilege} ON {kind} {name} TO ROLE {grantee};)"
                ));
            }
        }
    }
    held.dedup();
    let of_pipe = match &destination.object {
        Object::Pipe(_) if target.is_none() => {
            "; it also needs INSERT on the pipe's table, which is not shown to it"
        }
        _ => "",
    };
    let (verdict, text) = match missing.is_empty() {
        true => (Verdict::Successful, format!("role {role} has {}{of_pipe}", held.join(", "))),
        false => {
            let text = format!(
                "role {role} lacks {}. OWNERSHIP of the object will do, too; grants must be direct, not by way of another \
                 role{of_pipe}",
                missing.join(", ")
            );
            (Verdict::Failed, text)
        }
    };
    Checked { finding: Finding::new(PRIVILEGES, verdict, text), evolves }
}

/// The role that the sink works as.
async fn role(api: &Api, config: &SinkConfig) -> Result<Option<String>, Fault> {
    let named = match &config.authentication {
        Authentication::KeyPair(pair) => pair.role.clone(),
        Authentication::Managed(_) => None,
    };
    match named {
        Some(role) => Ok(Some(role)),
        None => catalog::current_role(api).await,
    }
}

fn needs(destination: &Destination, target: Option<&Target>, table: Option<&Table>) -> Vec<Need> {
    let need = |privilege, kind, path: &[&String]| Need { privilege, on: Securable::new(kind, path) };
    let Destination { database, schema, object } = destination;
    let mut needs =
        vec![need("USAGE", "DATABASE", &[database]), need("USAGE", "SCHEMA", &[database, schema])];
    if let Object::Pipe(pipe) = object {
        needs.push(need("OPERATE", "PIPE", &[database, schema, pipe]));
    }
    let Some(Target {
        table: Destination { database, schema, object: Object::Table(name) }, by_name, ..
    }) = target
    else {
        return needs;
    };
    for further in [need("USAGE", "DATABASE", &[database]), need("USAGE", "SCHEMA", &[database, schema])] {
        if needs.iter().all(|need| need.on != further.on) {
            needs.push(further);
        }
    }
    needs.push(need("INSERT", "TABLE", &[database, schema, name]));
    if *by_name && table.is_some_and(|table| table.schema_evolution == Some(true)) {
        needs.push(need(EVOLVE, "TABLE", &[database, schema, name]));
    }
    needs
}

/// The privilege by which the role may do it.
async fn holds(
    api: &Api,
    role: &str,
    grants: &[Grant],
    privilege: &'static str,
    on: &Securable,
    table: Option<&Table>,
) -> Option<&'static str> {
    let granted =
        |privilege: &str| grants.iter().any(|grant| grant.privilege == privilege && grant.is_on(on));
    if granted("OWNERSHIP") {
        return Some("OWNERSHIP");
    }
    if granted(privilege) || granted("ALL") {
        return Some(privilege);
    }
    let owner = match (on.kind, table) {
        ("TABLE", table) => table.and_then(|table| table.owner.clone()),
        // What is not told is not held.
        _ => catalog::owner(api, on).await.ok().flatten(),
    };
    owner.filter(|owner| owner.eq_ignore_ascii_case(role)).map(|_| "OWNERSHIP")
}
