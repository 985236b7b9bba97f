# One binary in an image without a shell. It builds with BuildKit and with the classic builder, for
# amd64 and arm64: nothing here names an architecture.
#
#   docker build --tag evenkeel .
#   docker build --tag evenkeel --build-arg EXTRA_CA="$(cat proxy-ca.pem)" .    behind a proxy that re-signs
#
# Base images are named by tag. Where a build must be the same tomorrow, give them by digest:
#   --build-arg RUST_IMAGE=rust@sha256:... --build-arg RUNTIME_IMAGE=gcr.io/distroless/cc-debian13@sha256:...
ARG RUST_IMAGE=rust:1.91.0-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /src

# A certificate, in PEM, that the downloads are to trust besides the usual ones. It is public, so an argument will do,
# and it stays in this stage.
ARG EXTRA_CA=""
ENV CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt
RUN if [ -n "$EXTRA_CA" ]; then printf '%s\n' "$EXTRA_CA" >>"$CARGO_HTTP_CAINFO"; fi

# A layer with every dependency built, which only another Cargo.toml, Cargo.lock or patch/ makes anew: Cargo is shown
# empty files in place of the sources, and of the benches and tests that the manifest names.
ARG PROFILE=release
COPY Cargo.toml Cargo.lock ./
COPY patch patch
RUN mkdir -p src benches \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && sed -n '/^\[\[bench\]\]/{n;s|^name = "\(.*\)"|benches/\1.rs|p}; s|^path = "\(tests/.*\.rs\)"|\1|p' Cargo.toml >stubs \
    && while read -r stub; do mkdir -p "$(dirname "$stub")" && touch "$stub"; done <stubs \
    && cargo build --locked --profile "$PROFILE" --bin evenkeel

# The sources are older than what was just built of empty ones, so Cargo is told that they are new.
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --locked --profile "$PROFILE" --bin evenkeel \
    && directory="$PROFILE" \
    && if [ "$PROFILE" = dev ]; then directory=debug; fi \
    && cp "target/$directory/evenkeel" /evenkeel \
    && /evenkeel --version

# The system's libraries, certificates and time zones, and a user that is not root (65532).
FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Evenkeel" \
      org.opencontainers.image.description="A load balancer on Pingora that steers traffic well and explains itself" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /evenkeel /usr/local/bin/evenkeel
COPY conf/evenkeel.yaml /etc/evenkeel/evenkeel.yaml
USER 65532:65532
# Traffic, metrics, the admin API with the dashboard.
EXPOSE 5000 8000 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/usr/local/bin/evenkeel", "probe", "http://127.0.0.1:9901/readyz"]
ENTRYPOINT ["/usr/local/bin/evenkeel"]
CMD ["run", "--config", "/etc/evenkeel/evenkeel.yaml"]
