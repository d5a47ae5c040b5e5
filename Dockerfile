# One static binary and the CAs of the system. Build it with: docker build -t heapster .
FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
# The commit that `heapster --version` tells.
ARG HEAPSTER_COMMIT=unknown
# With --target the flag counts for the binary alone, not for what the compiler itself loads.
RUN HEAPSTER_COMMIT="$HEAPSTER_COMMIT" RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --bin heapster --target "$(uname -m)-unknown-linux-gnu" \
    && cp "target/$(uname -m)-unknown-linux-gnu/release/heapster" /heapster

FROM scratch
COPY --from=build /heapster /heapster
# For API servers whose CA is not the cluster's own.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65534:65534
EXPOSE 8082
ENTRYPOINT ["/heapster"]
