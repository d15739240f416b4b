# The image: one static binary and the authorities it trusts, for amd64 and arm64. The compiler runs on the building machine's
# own architecture, whichever the image is for. `--target install` is the same with a binary that can also be read, for
# `keyferry install`. Two builds in one base image, with the same packages, give the same layer: see .ci/container.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
ARG TARGETARCH
# A compiler for what runs here, one for the image, and musl's headers for the C of aws-lc: what is linked is Rust's own musl.
# hadolint ignore=DL3008
RUN case "$TARGETARCH" in \
        amd64) cpu=x86_64 compiler=gcc-x86-64-linux-gnu ;; \
        arm64) cpu=aarch64 compiler=gcc-aarch64-linux-gnu ;; \
        *) echo "TARGETARCH is '$TARGETARCH': amd64 and arm64 are built" >&2; exit 1 ;; \
    esac; \
    if [ "$TARGETARCH" = "$(dpkg --print-architecture)" ]; then compiler=gcc; fi; \
    dpkg --add-architecture "$TARGETARCH" && \
    apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev "$compiler" "musl-dev:$TARGETARCH" && \
    rm -rf /var/lib/apt/lists/* && \
    rustup target add "$cpu-unknown-linux-musl" && \
    echo "$cpu" >/cpu
WORKDIR /src
COPY . .
# No path of the build gets into the binary, and no time of it into the layer.
RUN cpu=$(cat /cpu) && target=$cpu-unknown-linux-musl && \
    export "CC_${cpu}_unknown_linux_musl=$cpu-linux-gnu-gcc" && \
    export "CFLAGS_${cpu}_unknown_linux_musl=-specs /usr/lib/$cpu-linux-musl/musl-gcc.specs" && \
    cargo build --locked --release --package keyferry --target "$target" \
        --config "target.$target.linker='$cpu-linux-gnu-gcc'" \
        --config "target.$target.rustflags=['--remap-path-prefix=$CARGO_HOME=/cargo']" && \
    mkdir -p /plain/etc/ssl/certs && \
    install -m 0644 /etc/ssl/certs/ca-certificates.crt /plain/etc/ssl/certs/ && \
    install -m 0111 "target/$target/release/keyferry" /plain/ && \
    cp -a /plain /install && \
    chmod 0555 /install/keyferry && \
    find /plain /install -exec touch --no-dereference --date=@0 {} + && \
    rm -r target

FROM scratch AS common
LABEL org.opencontainers.image.title="keyferry" \
      org.opencontainers.image.description="A small secret-fetching agent for Azure" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/keyferry/keyferry"
# Where somebody sets RUST_BACKTRACE, a trace would be made for every absent header, and shown to nobody.
ENV RUST_LIB_BACKTRACE=0
USER 10001:10001
ENTRYPOINT ["/keyferry"]

FROM common AS install
COPY --from=build /install/ /

FROM common AS plain
COPY --from=build /plain/ /
