package dev.zeusd.server.tls;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * Where the credentials of TLS are, in PEM.
 *
 * @param certificates the server's own certificate first, then those of its issuers
 * @param key the private key of the first one, not encrypted
 * @param clientCa whose certificates clients have to have; without it none are asked for
 * @param oldest the oldest version of the protocol that is spoken
 */
public record TlsFiles(Path certificates, Path key, Optional<Path> clientCa, TlsVersion oldest) {
  /** Refuses null. */
  public TlsFiles {
    Objects.requireNonNull(certificates);
    Objects.requireNonNull(key);
    Objects.requireNonNull(clientCa);
    Objects.requireNonNull(oldest);
  }
}
