package dev.zeusd.client;

import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import javax.net.ssl.SSLContext;

/**
 * How a client reaches a daemon.
 *
 * @param endpoint where the daemon listens
 * @param token what it sends as {@code Authorization: Bearer}, where the daemon wants one
 * @param timeout how long it waits for a connection, and for an answer; a lease that is waited for
 *     may take longer by as much
 * @param sslContext whom it trusts and what it shows of itself with TLS; without one, what the JDK
 *     trusts, and nothing
 */
public record ClientConfig(
    Endpoint endpoint, Optional<String> token, Duration timeout, Optional<SSLContext> sslContext) {
  /** Longer than the ten seconds that a daemon gives a device. */
  private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

  /** Checks that the timeout is positive, and that the token has no line breaks. */
  public ClientConfig {
    Objects.requireNonNull(endpoint);
    if (timeout.toMillis() < 1 || timeout.toMillis() > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("a timeout of " + timeout + " is not possible");
    }
    if (token.isPresent() && !token.get().chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new IllegalArgumentException("a token has letters, digits and signs only");
    }
  }

  /**
   * {@return a configuration of a daemon at {@code endpoint}, without a token}
   *
   * @param endpoint where the daemon listens
   */
  public static ClientConfig of(Endpoint endpoint) {
    return new ClientConfig(endpoint, Optional.empty(), DEFAULT_TIMEOUT, Optional.empty());
  }

  /**
   * {@return a configuration as {@link Endpoint#fromEnvironment()} says, with the token in {@code
   * ZEUSD_TOKEN}}
   *
   * @throws IllegalArgumentException naming the variable that makes no sense
   */
  public static ClientConfig fromEnvironment() {
    return of(Endpoint.fromEnvironment()).withTokenFrom(System.getenv());
  }

  /**
   * {@return the same with this token}
   *
   * @param newToken as {@code zeusd token issue} prints it; it is sent with every request
   */
  public ClientConfig withToken(String newToken) {
    return new ClientConfig(endpoint, Optional.of(newToken.strip()), timeout, sslContext);
  }

  /**
   * {@return the same with the token in {@code ZEUSD_TOKEN}, if there is one}
   *
   * @param environment as {@link System#getenv()}
   * @throws IllegalArgumentException if it cannot be a token
   */
  public ClientConfig withTokenFrom(Map<String, String> environment) {
    String found = environment.getOrDefault("ZEUSD_TOKEN", "").strip();
    try {
      return found.isEmpty() ? this : withToken(found);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("ZEUSD_TOKEN: " + e.getMessage(), e);
    }
  }

  /**
   * {@return the same with this timeout}
   *
   * @param newTimeout how long to wait for a connection, and then for an answer
   */
  public ClientConfig withTimeout(Duration newTimeout) {
    return new ClientConfig(endpoint, token, newTimeout, sslContext);
  }

  /**
   * With this for TLS; {@link TlsFiles} makes one of files.
   *
   * @param newSslContext whom to trust and, for mTLS, who this client is
   * @return the same with this for TLS
   */
  public ClientConfig withSslContext(SSLContext newSslContext) {
    return new ClientConfig(endpoint, token, timeout, Optional.of(newSslContext));
  }

  /** Never shows the token. */
  @Override
  public String toString() {
    return endpoint + (token.isPresent() ? ", with a token" : "");
  }
}
