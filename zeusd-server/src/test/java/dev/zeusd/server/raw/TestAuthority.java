package dev.zeusd.server.raw;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** A certificate authority of a test's own, made with openssl, and what it issues. */
public final class TestAuthority {
  private static final String NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1";
  private static final char[] NO_PASSWORD = new char[0];

  private final Path directory;
  private final String name;
  private int issued;

  /** A certificate with its key, in files. */
  public record Issued(Path certificate, Path key) {}

  /** Makes its own certificate and key in {@code directory}. */
  public TestAuthority(Path directory, String name) throws IOException {
    this.directory = directory;
    this.name = name;
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout %s -out %s"
            .formatted(key(), certificate()),
        "-subj",
        "/CN=" + name);
  }

  private Path key() {
    return directory.resolve(name + "-ca.key");
  }

  /** Its own certificate. */
  public Path certificate() {
    return directory.resolve(name + "-ca.crt");
  }

  /** For a server at this machine's loopback address. */
  public Issued server() throws IOException {
    return issue("/CN=localhost", "ec -pkeyopt ec_paramgen_curve:P-256", "-days 20");
  }

  /** For a client; subject as in {@code /O=acme/CN=alice}. */
  public Issued client(String subject) throws IOException {
    return issue(subject, "ec -pkeyopt ec_paramgen_curve:P-256", "-days 20");
  }

  /** One that was valid from some day on, for two days. */
  public Issued serverFrom(int daysFromNow) throws IOException {
    Issued made = server();
    Path database = Files.createTempDirectory(directory, "database");
    Files.createFile(database.resolve("index"));
    Path config =
        Files.writeString(
            database.resolve("config"),
            """
            [ca]
            default_ca = test
            [test]
            database = %s/index
            new_certs_dir = %s
            rand_serial = yes
            default_md = sha256
            policy = any
            [any]
            commonName = supplied
            """
                .formatted(database, database));
    String time = "yyMMddHHmmss'Z'";
    java.time.format.DateTimeFormatter format =
        java.time.format.DateTimeFormatter.ofPattern(time).withZone(java.time.ZoneOffset.UTC);
    java.time.Instant from =
        java.time.Instant.now().plus(daysFromNow, java.time.temporal.ChronoUnit.DAYS);
    openssl(
        "ca -batch -config %s -cert %s -keyfile %s -in %s -out %s -startdate %s -enddate %s -notext"
            .formatted(
                config,
                certificate(),
                key(),
                made.key().resolveSibling(made.key().getFileName() + ".csr"),
                made.certificate(),
                format.format(from),
                format.format(from.plus(2, java.time.temporal.ChronoUnit.DAYS))));
    return made;
  }

  /**
   * Issues a certificate.
   *
   * @param key as {@code -newkey} of openssl has it
   * @param days options that say until when
   */
  public Issued issue(String subject, String key, String days) throws IOException {
    issued++;
    Path keyFile = directory.resolve(name + "-" + issued + ".key");
    Path request = directory.resolve(name + "-" + issued + ".key.csr");
    Path certificate = directory.resolve(name + "-" + issued + ".crt");
    Path names = Files.writeString(directory.resolve("names"), NAMES);
    openssl(
        "req -newkey %s -nodes -keyout %s -out %s".formatted(key, keyFile, request),
        "-subj",
        subject);
    openssl(
        "x509 -req -in %s -CA %s -CAkey %s -CAcreateserial -extfile %s -out %s %s"
            .formatted(request, certificate(), key(), names, certificate, days));
    return new Issued(certificate, keyFile);
  }

  /** Runs it, and fails with what it says. */
  public static void openssl(String arguments, String... more) throws IOException {
    List<String> command = new ArrayList<>(List.of("openssl"));
    command.addAll(List.of(arguments.split(" ")));
    command.addAll(List.of(more));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IOException(String.join(" ", command) + ": " + said);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  /** For a client that trusts this authority, and has these certificates, if any. */
  public SSLContext clientContext(Issued... own) throws IOException, GeneralSecurityException {
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    KeyStore issuers = emptyStore();
    issuers.setCertificateEntry("ca", read(certificate()));
    trust.init(issuers);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keyManagers(own), trust.getTrustManagers(), null);
    return context;
  }

  private static KeyManager[] keyManagers(Issued... own)
      throws IOException, GeneralSecurityException {
    KeyStore keys = emptyStore();
    for (Issued each : own) {
      String pem =
          Files.readString(each.key()).replaceAll("-----[^-]+-----", "").replaceAll("\\s", "");
      keys.setKeyEntry(
          each.key().toString(),
          KeyFactory.getInstance("EC")
              .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem))),
          NO_PASSWORD,
          new Certificate[] {read(each.certificate())});
    }
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, NO_PASSWORD);
    return factory.getKeyManagers();
  }

  private static KeyStore emptyStore() throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    return store;
  }

  private static Certificate read(Path file) throws IOException, GeneralSecurityException {
    try (InputStream in = Files.newInputStream(file)) {
      return CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }
}
