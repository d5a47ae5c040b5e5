//! The edges towards Kubernetes: its API server and its kubelets. What their answers mean is left to `wire`.

mod bearer;
pub mod credentials;
mod fetch_error;
pub mod following;
mod foreign;
pub mod kubelet;
pub mod kubernetes;
mod login;
mod plugin;
pub mod post;
mod trouble;
mod verifier;
