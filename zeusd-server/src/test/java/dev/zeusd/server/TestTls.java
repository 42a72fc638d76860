package dev.zeusd.server;

import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.server.tls.TlsFiles;
import dev.zeusd.server.tls.TlsVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Optional;
import javax.net.ssl.SSLContext;

/**
 * One authority for the tests that speak TLS, a server's credentials from it, and a client's, which
 * that server asks for.
 */
final class TestTls {
  private static final TestAuthority AUTHORITY;
  private static final TestAuthority.Issued CLIENT;
  private static final TlsCredentials CREDENTIALS;

  /** Whom the client's certificate names. */
  static final String CLIENT_SUBJECT = "CN=tests,O=acme";

  static {
    try {
      Path directory = Files.createTempDirectory("zeusd-tls");
      AUTHORITY = new TestAuthority(directory, "tests");
      TestAuthority.Issued server = AUTHORITY.server();
      CLIENT = AUTHORITY.client("/O=acme/CN=tests");
      CREDENTIALS =
          TlsCredentials.read(
              new TlsFiles(
                  server.certificate(),
                  server.key(),
                  Optional.of(AUTHORITY.certificate()),
                  TlsVersion.TLS_1_2));
    } catch (IOException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private TestTls() {}

  static TestAuthority authority() {
    return AUTHORITY;
  }

  static TlsCredentials credentials() {
    return CREDENTIALS;
  }

  static SSLContext clientContext() throws IOException {
    try {
      return AUTHORITY.clientContext(CLIENT);
    } catch (GeneralSecurityException e) {
      throw new IOException(e);
    }
  }
}
