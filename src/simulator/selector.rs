//! What lists and watches of the Kubernetes API select by: namespace, labels, fields. The grammar of labels is left to
//! `model`, what is selected from to `api_store`.

use crate::model::selector::{BadSelector, Selector as Labels};
use serde_json::Value;
use std::collections::BTreeMap;

/// What lists and watches may ask about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its namespace; none for nodes and namespaces.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The node it is bound to; empty without one.
    pub node_name: String,
    /// Its phase; empty without one.
    pub phase: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Meta {
    /// What `object` says of itself.
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Self {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").unwrap_or_default(),
            node_name: text("/spec/nodeName").unwrap_or_default(),
            phase: text("/status/phase").unwrap_or_default(),
            labels: labels.into_iter().flatten().filter_map(label).collect(),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(self.namespace.as_deref().unwrap_or_default()),
            "spec.nodeName" => Some(&self.node_name),
            "status.phase" => Some(&self.phase),
            _ => None,
        }
    }
}

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Labels(Labels),
    Field(String, Wanted),
    Namespace(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Is(String),
    IsNot(String),
}

/// The objects that a request asks for: those that meet every term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Term>);

impl Selector {
    /// The objects of one namespace, or all.
    pub fn in_namespace(namespace: Option<&str>) -> Self {
        Self(namespace.map(|name| Term::Namespace(name.to_owned())).into_iter().collect())
    }

    /// Also asks for what a `labelSelector` parameter says.
    ///
    /// # Errors
    /// The message of the API server's 400, when it cannot be read.
    pub fn with_labels(mut self, text: &str) -> Result<Self, String> {
        let labels: Labels = text.parse().map_err(|error: BadSelector| error.to_string())?;
        if !labels.is_everything() {
            self.0.push(Term::Labels(labels));
        }
        Ok(self)
    }

    /// Also asks for what a `fieldSelector` parameter says, on `metadata.name`, `metadata.namespace`, `spec.nodeName` and
    /// `status.phase`.
    ///
    /// # Errors
    /// The message of the API server's 400, when a term names another field or no value.
    pub fn with_fields(mut self, text: &str) -> Result<Self, String> {
        for term in terms(text) {
            let Some((key, wanted)) = parsed(term) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
            };
            if Meta::default().field(key).is_none() {
                return Err(format!("field label not supported: {key}"));
            }
            self.0.push(Term::Field(key.to_owned(), wanted));
        }
        Ok(self)
    }

    /// Whether it asks for everything.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it asks for the object that `meta` tells of.
    pub fn takes(&self, meta: &Meta) -> bool {
        self.0.iter().all(|term| match term {
            Term::Labels(labels) => labels.takes(|key| meta.labels.get(key).map(String::as_str)),
            Term::Field(key, wanted) => wanted.met_by(meta.field(key)),
            Term::Namespace(name) => meta.namespace.as_ref() == Some(name),
        })
    }
}

impl Wanted {
    fn met_by(&self, found: Option<&str>) -> bool {
        match self {
            Self::Is(value) => found == Some(value),
            Self::IsNot(value) => found != Some(value),
        }
    }
}

fn terms(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|term| !term.is_empty())
}

fn parsed(term: &str) -> Option<(&str, Wanted)> {
    let (key, wanted) = if let Some((key, value)) = term.split_once("!=") {
        (key, Wanted::IsNot(value.trim().to_owned()))
    } else {
        let (key, value) = term.split_once('=')?;
        (key, Wanted::Is(value.trim_start_matches('=').trim().to_owned()))
    };
    Some((key.trim(), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Meta {
        Meta::of(&json!({
            "metadata": { "name": "web-1", "namespace": "shop", "labels": { "app": "web", "tier": "front" } },
            "spec": { "nodeName": "node-1" },
            "status": { "phase": "Running" },
        }))
    }

    fn labels(text: &str) -> bool {
        Selector::default().with_labels(text).unwrap().takes(&pod())
    }

    fn fields(text: &str) -> bool {
        Selector::default().with_fields(text).unwrap().takes(&pod())
    }

    #[test]
    fn labels_select_by_equality_and_existence() {
        assert!(
            labels("")
                && labels("app=web")
                && labels("app==web,tier")
                && labels("app!=db")
                && labels("!gone")
        );
        assert!(!labels("app=db") && !labels("app!=web") && !labels("gone") && !labels("app,!tier"));
    }

    #[test]
    fn fields_select_by_node_name_and_phase() {
        assert!(fields("spec.nodeName=node-1") && fields("metadata.name=web-1,status.phase!=Succeeded"));
        assert!(!fields("spec.nodeName=node-2") && !fields("spec.nodeName="));
    }

    #[test]
    fn unknown_selectors_are_refused() {
        assert!(Selector::default().with_fields("spec.colour=red").is_err());
        assert!(Selector::default().with_fields("metadata.name").is_err());
        assert!(Selector::default().with_labels("app in (a").is_err());
    }
}
