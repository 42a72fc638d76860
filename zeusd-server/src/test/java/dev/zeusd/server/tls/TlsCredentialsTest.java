package dev.zeusd.server.tls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.server.raw.TestAuthority.Issued;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which files are taken, and what is said of those that are not. */
class TlsCredentialsTest {
  @TempDir private static Path directory;
  private static TestAuthority authority;
  private static Issued server;

  @BeforeAll
  static void issue() throws IOException {
    authority = new TestAuthority(directory, "good");
    server = authority.server();
  }

  private static TlsCredentials read(Path certificate, Path key) {
    return TlsCredentials.read(
        new TlsFiles(certificate, key, Optional.empty(), TlsVersion.TLS_1_3));
  }

  private static void assertRefused(Path certificate, Path key, Path culprit, String why) {
    ServerStartException e = assertThrows(ServerStartException.class, () -> read(certificate, key));
    assertTrue(e.getMessage().contains(culprit.toString()), e::getMessage);
    assertTrue(e.getMessage().contains(why), e::getMessage);
  }

  private static Path write(String name, String... contents) throws IOException {
    Path file = Files.writeString(directory.resolve(name), String.join("", contents));
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"rsa:2048", "ed25519", "ec -pkeyopt ec_paramgen_curve:P-384"})
  void takesKeysOfAllKinds(String kind) throws IOException {
    Issued issued = authority.issue("/CN=localhost", kind, "-days 20");
    TlsCredentials credentials = read(issued.certificate(), issued.key());
    assertTrue(credentials.describeCertificate().startsWith("CN=localhost, until 20"));
    assertFalse(credentials.asksClients());
  }

  @ParameterizedTest
  @ValueSource(strings = {"rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256"})
  void takesKeysInTheFormOfTheirAlgorithm(String kind) throws IOException {
    Issued issued = authority.issue("/CN=localhost", kind, "-days 20");
    Path old = write(kind.substring(0, 2) + "-old.key");
    // PKCS#1 and SEC 1, which cert-manager and older tools write.
    TestAuthority.openssl("pkey -traditional -in " + issued.key() + " -out " + old);
    assertTrue(Files.readString(old).contains(kind.startsWith("rsa") ? "RSA PRIVATE" : "EC PRIV"));
    read(issued.certificate(), old);
    assertRefused(server.certificate(), old, old, "does not fit the certificate");
  }

  @Test
  void takesAKeyAndItsCertificateInOneFile() throws IOException {
    Path both =
        write("both", Files.readString(server.key()), Files.readString(server.certificate()));
    read(both, both);
  }

  @Test
  void refusesAKeyOfAnotherCertificate() throws IOException {
    Issued other = authority.server();
    assertRefused(server.certificate(), other.key(), other.key(), "does not fit the certificate");
    Issued rsa = authority.issue("/CN=localhost", "rsa:2048", "-days 20");
    assertRefused(server.certificate(), rsa.key(), rsa.key(), "does not fit the certificate");
  }

  @Test
  void refusesAnEncryptedKey() throws IOException {
    Path encrypted = write("encrypted.key");
    TestAuthority.openssl(
        "pkey -aes256 -passout pass:x -in " + server.key() + " -out " + encrypted);
    assertRefused(server.certificate(), encrypted, encrypted, "is encrypted");
    Path old = write("old-encrypted.key");
    TestAuthority.openssl(
        "pkey -traditional -aes256 -passout pass:x -in " + server.key() + " -out " + old);
    assertRefused(server.certificate(), old, old, "is encrypted");
  }

  @Test
  void refusesOneThatIsNotValidToday() throws IOException {
    Issued old = authority.serverFrom(-10);
    assertRefused(old.certificate(), old.key(), old.certificate(), "has expired at 20");
    Issued future = authority.serverFrom(10);
    assertRefused(future.certificate(), future.key(), future.certificate(), "is valid only from");
  }

  @Test
  void refusesAWrongOrder() throws IOException {
    String own = Files.readString(server.certificate());
    String issuer = Files.readString(authority.certificate());
    read(write("chain", own, issuer), server.key());
    Path turned = write("turned", issuer, own);
    assertRefused(turned, server.key(), turned, "wrong order: that of the key");
    Path foreign =
        write(
            "foreign", own, Files.readString(new TestAuthority(directory, "other").certificate()));
    assertRefused(foreign, server.key(), foreign, "has not issued the one before it");
  }

  @Test
  void refusesWhatOthersMayReadOrWrite() throws IOException {
    Path key = write("open.key", Files.readString(server.key()));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    assertRefused(server.certificate(), key, key, "can be read by everybody");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
    read(server.certificate(), key);
    Path certificate = write("open.crt", Files.readString(server.certificate()));
    Files.setPosixFilePermissions(certificate, PosixFilePermissions.fromString("rw-rw-rw-"));
    assertRefused(certificate, server.key(), certificate, "can be written by others");
  }

  @Test
  void refusesWhatIsNoPem() throws IOException {
    Path nothing = directory.resolve("nothing");
    assertRefused(nothing, server.key(), nothing, "does not exist");
    Path empty = write("empty");
    assertRefused(empty, server.key(), empty, "has no certificate");
    assertRefused(server.certificate(), empty, empty, "has no private key");
    assertRefused(server.key(), server.key(), server.key(), "has no certificate");
    String own = Files.readString(server.certificate());
    Path damaged = write("damaged", own.replaceFirst("MII.", "MIIA"));
    assertRefused(damaged, server.key(), damaged, "certificate 1 in it cannot be understood");
    Path two = write("two.key", Files.readString(server.key()), Files.readString(server.key()));
    assertRefused(server.certificate(), two, two, "has 2 private keys");
  }

  @Test
  void knowsWhatHasChanged() throws IOException {
    Optional<Path> clientCa = Optional.of(authority.certificate());
    TlsCredentials one =
        TlsCredentials.read(
            new TlsFiles(server.certificate(), server.key(), clientCa, TlsVersion.TLS_1_2));
    TlsCredentials same = read(server.certificate(), server.key());
    Issued renewed = authority.server();
    TlsCredentials other = read(renewed.certificate(), renewed.key());
    assertTrue(one.asksClients());
    assertEquals("CN=good", one.describeClientIssuers());
    assertTrue(one.hasSameCertificate(same));
    assertFalse(one.hasSameCertificate(other));
    assertFalse(one.hasSameClientIssuers(other));
  }
}
