//! How identities sign in, each its own file. All end in an access token for one scope.

mod workload;

pub(super) use workload::Workload;
