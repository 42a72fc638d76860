package dev.zeusd.server.tls;

import dev.zeusd.server.ServerStartException;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/**
 * Who this server is, and which clients it lets in, as its files said at one moment. All that could
 * make handshakes fail later is looked at before.
 *
 * <p>Thread-safe.
 */
public final class TlsCredentials {
  private static final System.Logger LOG = System.getLogger(TlsCredentials.class.getName());
  private static final Duration SOON = Duration.ofDays(7);
  private static final List<String> SPOKEN = List.of("http/1.1", "http/1.0");
  private static final int MAX_KEPT_SESSIONS = 1000;

  /** How long a client may come back with a shorter handshake, without its certificate. */
  private static final Duration SESSION = Duration.ofMinutes(10);

  private static final String KEY = "TLS key";
  private static final String CERTIFICATE = "TLS certificate";
  private static final String CLIENT_CA = "TLS client CA";

  private final List<X509Certificate> chain;
  private final List<X509Certificate> clientIssuers;
  private final Optional<X509TrustManager> clientTrust;
  private final SSLContext context;
  private final SSLParameters parameters;

  private TlsCredentials(
      List<X509Certificate> chain,
      PrivateKey key,
      List<X509Certificate> clientIssuers,
      TlsVersion oldest)
      throws GeneralSecurityException, IOException {
    this.chain = chain;
    this.clientIssuers = clientIssuers;
    this.clientTrust =
        clientIssuers.isEmpty() ? Optional.empty() : Optional.of(trustIn(clientIssuers));
    context = SSLContext.getInstance("TLS");
    context.init(
        new ServerKey[] {new ServerKey(chain, key)},
        clientTrust.stream().toArray(TrustManager[]::new),
        null);
    // What tickets do not keep: sessions of TLS 1.2.
    context.getServerSessionContext().setSessionCacheSize(MAX_KEPT_SESSIONS);
    context.getServerSessionContext().setSessionTimeout((int) SESSION.toSeconds());
    parameters = context.getDefaultSSLParameters();
    parameters.setProtocols(oldest.upward());
    // TLS 1.2 has older ones, without forward secrecy or with CBC.
    parameters.setCipherSuites(
        Arrays.stream(context.getSupportedSSLParameters().getCipherSuites())
            .filter(suite -> suite.matches("TLS_(ECDHE_.*)?(AES|CHACHA20).*|TLS_ECDHE_.*"))
            .filter(suite -> suite.contains("_GCM_") || suite.contains("_CHACHA20_"))
            .toArray(String[]::new));
    parameters.setUseCipherSuitesOrder(true);
    parameters.setNeedClientAuth(clientTrust.isPresent());
  }

  /**
   * Reads the files.
   *
   * @param files certificate, key and, for mTLS, the CA of clients
   * @return what was read
   * @throws ServerStartException if one cannot be read or used, or they do not go together; names
   *     it, and what to do
   */
  public static TlsCredentials read(TlsFiles files) {
    PemFile certificateFile = new PemFile(files.certificates(), CERTIFICATE);
    List<X509Certificate> chain = certificateFile.certificates();
    PemFile keyFile = new PemFile(files.key(), KEY);
    PrivateKey key = fittingKey(keyFile, files, chain);
    checkOrder(certificateFile, chain);
    checkDates(certificateFile, chain.getFirst());
    List<X509Certificate> clientIssuers =
        files.clientCa().map(file -> new PemFile(file, CLIENT_CA).certificates()).orElse(List.of());
    try {
      return new TlsCredentials(chain, key, clientIssuers, files.oldest());
    } catch (GeneralSecurityException | IOException e) {
      throw certificateFile.refused("cannot be used: " + e.getMessage(), e);
    }
  }

  private static PrivateKey fittingKey(
      PemFile keyFile, TlsFiles files, List<X509Certificate> chain) {
    PemFile.Block block = keyFile.privateKey();
    for (int i = 0; i < chain.size(); i++) {
      Optional<PrivateKey> key = keyOf(block, chain.get(i));
      if (key.isPresent() && i == 0) {
        return key.get();
      }
      if (key.isPresent()) {
        throw new ServerStartException(
            "%s %s has its certificates in the wrong order: that of the key %s is number %d, and has to be the first"
                .formatted(CERTIFICATE, files.certificates(), files.key(), i + 1));
      }
    }
    throw keyFile.refused(
        "does not fit the certificate "
            + files.certificates()
            + " (of "
            + chain.getFirst().getSubjectX500Principal()
            + "), or is damaged; name the two that were made together");
  }

  private static Optional<PrivateKey> keyOf(PemFile.Block block, X509Certificate certificate) {
    try {
      PrivateKey key = PrivateKeys.of(block, certificate.getPublicKey());
      return PrivateKeys.fit(key, certificate.getPublicKey()) ? Optional.of(key) : Optional.empty();
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static void checkOrder(PemFile file, List<X509Certificate> chain) {
    for (int i = 1; i < chain.size(); i++) {
      X509Certificate subject = chain.get(i - 1);
      X509Certificate issuer = chain.get(i);
      try {
        subject.verify(issuer.getPublicKey());
      } catch (GeneralSecurityException e) {
        throw file.refused(
            "has its certificates in the wrong order: number %d (%s) has not issued the one before it; the server's own comes first, then its issuer, and so on"
                .formatted(i + 1, issuer.getSubjectX500Principal()),
            e);
      }
    }
  }

  private static void checkDates(PemFile file, X509Certificate certificate) {
    Instant now = Instant.now();
    Instant end = certificate.getNotAfter().toInstant();
    Instant begin = certificate.getNotBefore().toInstant();
    if (now.isAfter(end)) {
      throw file.refused("has expired at " + time(end) + "; renew it");
    }
    if (now.isBefore(begin)) {
      throw file.refused("is valid only from " + time(begin) + "; check this machine's clock");
    }
    if (now.plus(SOON).isAfter(end)) {
      LOG.log(
          System.Logger.Level.WARNING,
          file.refused("expires at " + time(end) + "; renew it, and send SIGHUP").getMessage());
    }
  }

  private static String time(Instant instant) {
    return DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm 'UTC'")
        .withZone(ZoneOffset.UTC)
        .format(instant);
  }

  private static X509TrustManager trustIn(List<X509Certificate> issuers)
      throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    for (int i = 0; i < issuers.size(); i++) {
      store.setCertificateEntry("issuer " + i, issuers.get(i));
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return Arrays.stream(factory.getTrustManagers())
        .filter(X509TrustManager.class::isInstance)
        .map(X509TrustManager.class::cast)
        .findFirst()
        .orElseThrow(() -> new GeneralSecurityException("this Java cannot check certificates"));
  }

  /** {@return an engine for a new connection} */
  public SSLEngine newEngine() {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(false);
    engine.setSSLParameters(parameters);
    // Nothing that both speak: no answer. A client that asks for nothing is not refused.
    engine.setHandshakeApplicationProtocolSelector(
        (same, offered) -> offered.stream().filter(SPOKEN::contains).findFirst().orElse(null));
    return engine;
  }

  /** {@return whether clients need a certificate} */
  public boolean asksClients() {
    return clientTrust.isPresent();
  }

  /**
   * {@return whether a client that has connected before would be let in now}
   *
   * @param clientChain its certificates, its own first; none if it was not asked for any
   */
  public boolean letsIn(List<X509Certificate> clientChain) {
    if (clientTrust.isEmpty()) {
      return true;
    }
    if (clientChain.isEmpty()) {
      return false;
    }
    try {
      String keyType = clientChain.getFirst().getPublicKey().getAlgorithm();
      clientTrust.get().checkClientTrusted(clientChain.toArray(X509Certificate[]::new), keyType);
      return true;
    } catch (CertificateException e) {
      return false;
    }
  }

  /** {@return the server's certificate, for people: whose it is, and until when} */
  public String describeCertificate() {
    X509Certificate own = chain.getFirst();
    return own.getSubjectX500Principal() + ", until " + time(own.getNotAfter().toInstant());
  }

  /** {@return whose certificates clients need, for people} */
  public String describeClientIssuers() {
    return clientIssuers.isEmpty()
        ? "none asked for"
        : String.join(
            "; ",
            clientIssuers.stream()
                .map(issuer -> issuer.getSubjectX500Principal().toString())
                .toList());
  }

  /**
   * {@return whether the server's certificate is the same}
   *
   * @param other others of the same files
   */
  public boolean hasSameCertificate(TlsCredentials other) {
    return chain.equals(other.chain);
  }

  /**
   * {@return whether the same clients are let in}
   *
   * @param other others of the same files
   */
  public boolean hasSameClientIssuers(TlsCredentials other) {
    return clientIssuers.equals(other.clientIssuers);
  }
}
