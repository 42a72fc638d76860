package dev.zeusd.client;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/**
 * Certificates and keys in files (PEM), for {@link ClientConfig#withSslContext}.
 *
 * @param ca whose certificates are trusted; if empty, those that the JDK trusts
 * @param identity what this client shows of itself, where the daemon asks for it
 */
public record TlsFiles(Optional<Path> ca, Optional<Identity> identity) {
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN PRIVATE KEY-----(.*?)-----END PRIVATE KEY-----", Pattern.DOTALL);

  /**
   * A certificate and its key.
   *
   * @param certificate with those between it and the CA behind it
   * @param key not encrypted, as PKCS#8 ({@code BEGIN PRIVATE KEY})
   */
  public record Identity(Path certificate, Path key) {}

  /**
   * Reads the files.
   *
   * @return whom to trust and, for mTLS, who this client is
   * @throws IOException naming the file that is not there or makes no sense
   */
  public SSLContext context() throws IOException {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(
          identity.isPresent() ? keyManagers(identity.get()) : new KeyManager[0],
          ca.isPresent() ? trustManagers(ca.get()) : null,
          null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("TLS is not possible: " + e.getMessage(), e);
    }
  }

  private static TrustManager[] trustManagers(Path file)
      throws IOException, GeneralSecurityException {
    KeyStore store = emptyStore();
    for (Certificate certificate : certificates(file)) {
      store.setCertificateEntry("ca" + store.size(), certificate);
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }

  private static KeyManager[] keyManagers(Identity identity)
      throws IOException, GeneralSecurityException {
    KeyStore store = emptyStore();
    store.setKeyEntry(
        "client",
        privateKey(identity.key()),
        new char[0],
        certificates(identity.certificate()).toArray(Certificate[]::new));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, new char[0]);
    return factory.getKeyManagers();
  }

  private static KeyStore emptyStore() throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, new char[0]);
    return store;
  }

  private static Collection<? extends Certificate> certificates(Path file)
      throws IOException, GeneralSecurityException {
    try (InputStream in = Files.newInputStream(file)) {
      Collection<? extends Certificate> all =
          CertificateFactory.getInstance("X.509").generateCertificates(in);
      if (all.isEmpty()) {
        throw new IOException(file + " holds no certificate (PEM)");
      }
      return all;
    } catch (java.security.cert.CertificateException e) {
      throw new IOException(file + " holds no certificate (PEM): " + e.getMessage(), e);
    }
  }

  private static PrivateKey privateKey(Path file) throws IOException, GeneralSecurityException {
    Matcher matcher = KEY.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
    if (!matcher.find()) {
      throw new IOException(
          file
              + " holds no key of the form BEGIN PRIVATE KEY; openssl pkcs8 -topk8 -nocrypt makes"
              + " one");
    }
    PKCS8EncodedKeySpec encoded =
        new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(matcher.group(1)));
    for (String algorithm : List.of("EC", "RSA", "EdDSA")) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(encoded);
      } catch (InvalidKeySpecException e) {
        // The next kind, then.
      }
    }
    throw new IOException(file + " holds a key of an unknown kind");
  }
}
