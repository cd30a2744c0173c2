# The images of Prowl, a target for each stage or program of it.
# One builder compiles all programs; each target adds its program to what any of them needs. `images/build` calls it.
#
# PROGRAMS says where the programs come from:
#   source     they are compiled here; the build context is the repository
#   prebuilt   they are in the folder `programs` of the build context, which is target/images; `images/programs` fills it where
#              a second compilation would take too long
ARG PROGRAMS=source

# What the programs are compiled with. Its glibc is the one that they are run with: both bases are of one Debian.
#
# No RUN here mounts a cache: buildah keeps no layer of one that does, and layers are what is kept from build to build.
FROM docker.io/library/rust:1.95-bookworm AS rust
WORKDIR /prowl
# Where the base has rustup, this brings the compiler that the tests ran with, to the last digit.
COPY rust-toolchain.toml ./
RUN cargo install --locked --root /usr/local cargo-chef@0.1.78 cargo-auditable@0.7.7

FROM rust AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# Dependencies are a layer of their own, which lives as long as Cargo.lock and the manifests.
FROM rust AS builder
COPY --from=planner /prowl/recipe.json ./
RUN cargo chef cook --locked --profile image --workspace --bins --recipe-path recipe.json
COPY . .
ARG REVISION=""
# cargo-auditable writes into each program what it was made of, so that a scanner needs nothing but the image. `strip` of the profile
# does not reach packages that have settings of their own.
RUN PROWL_COMMIT="$REVISION" cargo auditable build --locked --profile image --workspace --bins \
    && mkdir /programs \
    && find target/image -maxdepth 1 -type f -executable -name 'prowl*' -exec install --strip --target-directory /programs {} + \
    && rm -r target

FROM scratch AS programs-source
COPY --from=builder /programs/ /programs/

FROM scratch AS programs-prebuilt
COPY programs/ /programs/

# DL3006: a stage of this file, and no image that could have a tag.
# hadolint ignore=DL3006
FROM programs-${PROGRAMS} AS programs

# What the programs ask of a system: the loader, three libraries, certificates, a user, how names are looked up. The machine that
# runs this stage is the one that is built for, so it says which paths are meant.
FROM docker.io/library/debian:bookworm-slim AS system
# DL3008: the newest certificates are the right ones, whatever their number is. Debian's own base has none; that of
# `images/bases` has, so that nothing is fetched there.
# hadolint ignore=DL3008
RUN set -eu; \
    if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends ca-certificates; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    machine=$(uname -m); \
    case $machine in \
        x86_64) loader=/lib64/ld-linux-x86-64.so.2 ;; \
        aarch64) loader=/lib/ld-linux-aarch64.so.1 ;; \
        *) echo "there are images for x86_64 and aarch64, not for $machine" >&2; exit 1 ;; \
    esac; \
    libraries=/lib/$machine-linux-gnu; \
    mkdir -p /system/etc; \
    cp --parents --dereference "$loader" "$libraries/libc.so.6" "$libraries/libm.so.6" "$libraries/libgcc_s.so.1" \
        /etc/ssl/certs/ca-certificates.crt /system; \
    echo 'prowl:x:65532:65532::/nonexistent:/nonexistent' > /system/etc/passwd; \
    echo 'prowl:x:65532:' > /system/etc/group; \
    echo 'hosts: files dns' > /system/etc/nsswitch.conf

FROM scratch AS runtime
COPY --from=system /system/ /
ENV PATH=/usr/local/bin
USER 65532:65532
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.created="$CREATED" \
    org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS fetch
LABEL org.opencontainers.image.title="prowl-fetch"
COPY --from=programs /programs/prowl-fetch /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-fetch"]

FROM runtime AS scheduler
LABEL org.opencontainers.image.title="prowl-scheduler"
COPY --from=programs /programs/prowl-scheduler /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-scheduler"]

FROM runtime AS executor
LABEL org.opencontainers.image.title="prowl-executor"
COPY --from=programs /programs/prowl-executor /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-executor"]

FROM runtime AS preprocess
LABEL org.opencontainers.image.title="prowl-preprocess"
COPY --from=programs /programs/prowl-preprocess /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-preprocess"]

FROM runtime AS trainer
LABEL org.opencontainers.image.title="prowl-trainer"
COPY --from=programs /programs/prowl-trainer /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-trainer"]

FROM runtime AS inference
LABEL org.opencontainers.image.title="prowl-inference"
COPY --from=programs /programs/prowl-inference /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-inference"]

FROM runtime AS loadtest
LABEL org.opencontainers.image.title="prowl-loadtest"
COPY --from=programs /programs/prowl-loadtest /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/prowl-loadtest"]
