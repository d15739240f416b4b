//! The examples run as they stand: their manifests' own words against the emulator.

mod aks_openai;
mod azureml_byoc;
pub mod yaml;
