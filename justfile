# What CI runs, and what people run. Each line is plain cargo: without just, type it.

# Everything that must be green.
ci: fmt clippy test python azureml monitoring helm kubernetes container e2e

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

test:
    cargo test --workspace --locked

# The official Python SDK signs in to the emulator and reads from it: proof that it is honest. The official parser of metrics
# reads what an agent tells, unmodified SDKs get tokens from one, and examples/aks-openai reaches Azure OpenAI with them.
python:
    cargo build --locked -p keyferry -p keyferry-emulator
    python3 -m venv target/python
    target/python/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
    target/python/bin/python tests/python/read_with_the_official_sdk.py target/debug/keyferry-emulator
    target/python/bin/python tests/python/sign_in_with_the_official_sdk.py target/debug/keyferry-emulator
    target/python/bin/python tests/python/scrape_with_the_official_parser.py target/debug/keyferry-emulator target/debug/keyferry
    target/python/bin/python tests/python/get_tokens_with_the_official_sdk.py target/debug/keyferry-emulator target/debug/keyferry
    target/python/bin/python tests/python/describe_with_the_official_sdk.py target/debug/keyferry-emulator target/debug/keyferry

# Every az command of the documents, of deploy/azure and of what keyferry advises, by azure-cli's own parser: some minutes and
# 750 MB to install it, so it is not in `ci`, but a job of its own in the public workflow.
azure-cli:
    python3 -m venv target/azure-cli
    target/azure-cli/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements-azure-cli.txt
    target/azure-cli/bin/python tests/python/parse_with_the_official_cli.py

# The YAML of examples/azureml-byoc by Azure Machine Learning's own SDK, and wrong ones, which it has to refuse.
azureml:
    python3 -m venv target/azureml
    target/azureml/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements-azureml.txt
    target/azureml/bin/python tests/python/load_azureml_with_the_official_sdk.py

# The official SDK for Node.js gets tokens from an agent (Node.js 20 with npm).
node:
    cargo build --locked -p keyferry -p keyferry-emulator
    mkdir -p target/node
    cp tests/node/package.json tests/node/get_tokens_with_the_official_sdk.js target/node/
    npm install --prefix target/node --no-package-lock --no-audit --no-fund --silent
    node target/node/get_tokens_with_the_official_sdk.js target/debug/keyferry-emulator target/debug/keyferry

# The charts of deploy/helm, by Helm: the README's commands, lint, what they make, and wrong values.
helm:
    .ci/helm

# The overlays of deploy/kubernetes, by kustomize, and what they make in the oldest and the newest Kubernetes.
kubernetes:
    .ci/kubernetes

# The alert rules of deploy/monitoring, and when each fires, by Prometheus' promtool.
monitoring:
    .ci/promtool

# The image, built twice and run hardened beside the emulator, between containers of other users; and deploy/compose, by
# Docker's Compose (root, Debian or podman; Go).
container:
    .ci/container

# What deploy/ has for a cluster, on that of KUBECONFIG: see .ci/e2e for what else it wants to be told.
e2e:
    .ci/e2e

# Licences, advisories, sources and duplicates of what is linked (cargo install cargo-deny).
deny:
    cargo deny --workspace check

# The static binary that images ship (rustup target add x86_64-unknown-linux-musl, and a musl C compiler).
static:
    CC_x86_64_unknown_linux_musl=musl-gcc cargo build --locked --release --package keyferry --target x86_64-unknown-linux-musl

# Cold start of the static binary beside a minimal hand-written fetcher, against the emulator.
bench: static
    CC_x86_64_unknown_linux_musl=musl-gcc cargo build --locked --release --example floor --target x86_64-unknown-linux-musl
    cargo bench --bench cold_start

# 10,000 pods in simulated time against one vault with Azure's limit: cold start, steady state, an outage and its return.
fleet:
    cargo bench --bench fleet

# From a secret's rotation to its new bytes; and what an idle sidecar costs. Of the static build, against the emulator.
sidecar: static
    cargo bench --bench rotation
    cargo bench --bench idle

# What exec costs beside a command that is started directly, and what stays resident.
exec: static
    cargo bench --bench exec

# Cached reads beside a bare hyper server, and a minute of load while secrets rotate (apt-get install wrk).
serve: static
    cargo bench --bench serve
