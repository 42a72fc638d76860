package dev.zeusd.server.tls;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.OrdinaryFile;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.server.ServerStartException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A PEM file that an administrator names, or why it cannot be used. */
final class PemFile {
  private static final System.Logger LOG = System.getLogger(PemFile.class.getName());

  /** More than all the certificate authorities of a browser. */
  private static final int MAX_BYTES = 1 << 20;

  private static final int READABLE_BY_OTHERS = 0004;
  private static final Pattern BLOCK =
      Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \\1-----", Pattern.DOTALL);
  private static final String CERTIFICATE = "CERTIFICATE";
  private static final String PRIVATE_KEY = "PRIVATE KEY";

  private final Path file;
  private final String what;
  private final List<Block> blocks = new ArrayList<>();

  /**
   * One piece of the file.
   *
   * @param label what it says that it is
   * @param text what is between the lines that say so
   */
  record Block(String label, String text) {
    boolean isEncrypted() {
      return label.startsWith("ENCRYPTED") || text.contains("ENCRYPTED");
    }

    /**
     * What it stands for.
     *
     * @throws IllegalArgumentException if that is not Base64
     */
    byte[] bytes() {
      return Base64.getMimeDecoder().decode(text.strip());
    }
  }

  /**
   * Reads a file.
   *
   * @param what it is, for people
   * @throws ServerStartException if it cannot be read, or others may write to it
   */
  PemFile(Path file, String what) {
    this.file = file;
    this.what = what;
    try {
      byte[] bytes = OrdinaryFile.read(file, MAX_BYTES);
      checkOwner(FileFacts.ofTarget(file));
      Matcher matcher = BLOCK.matcher(new String(bytes, StandardCharsets.ISO_8859_1));
      while (matcher.find()) {
        blocks.add(new Block(matcher.group(1), matcher.group(2)));
      }
    } catch (IOException e) {
      throw refused("cannot be read: " + FileFacts.reason(e) + "; check path and permissions", e);
    }
  }

  private void checkOwner(FileFacts facts) throws IOException {
    if (Strangers.mayWrite(facts)) {
      throw refused("can be written by others, who could put theirs there; run: chmod go-w it");
    }
    Optional<String> stranger =
        Strangers.isTrusted(facts.uid())
            ? Strangers.whoReplaces(file.toAbsolutePath())
            : Optional.of("it belongs to " + Strangers.user(file.toRealPath()));
    stranger.ifPresent(
        who ->
            LOG.log(
                System.Logger.Level.WARNING,
                "{0} {1} CAN BE REPLACED BY OTHERS: {2}",
                what,
                file,
                who));
  }

  /**
   * Its certificates, in their order.
   *
   * @throws ServerStartException if there are none, or one cannot be understood
   */
  List<X509Certificate> certificates() {
    List<X509Certificate> certificates = new ArrayList<>();
    for (Block block : blocks) {
      if (block.label.equals(CERTIFICATE)) {
        certificates.add(certificate(block, certificates.size() + 1));
      }
    }
    if (certificates.isEmpty()) {
      throw refused("has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    }
    return certificates;
  }

  private X509Certificate certificate(Block block, int number) {
    try {
      CertificateFactory factory = CertificateFactory.getInstance("X.509");
      return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(block.bytes()));
    } catch (CertificateException | IllegalArgumentException e) {
      throw refused("is damaged: certificate " + number + " in it cannot be understood", e);
    }
  }

  /**
   * Its private key.
   *
   * @throws ServerStartException if there is none, others may read it, or it is encrypted
   */
  Block privateKey() {
    try {
      if ((FileFacts.ofTarget(file).permissions() & READABLE_BY_OTHERS) != 0) {
        throw refused("can be read by everybody, who could pose as this daemon; run: chmod o-r it");
      }
    } catch (IOException e) {
      throw refused("cannot be read: " + FileFacts.reason(e), e);
    }
    List<Block> keys = blocks.stream().filter(block -> block.label.endsWith(PRIVATE_KEY)).toList();
    if (keys.size() != 1) {
      throw refused(
          (keys.isEmpty() ? "has no private key" : "has " + keys.size() + " private keys")
              + " in PEM, needs one (-----BEGIN PRIVATE KEY-----)");
    }
    if (keys.getFirst().isEncrypted()) {
      throw refused(
          "is encrypted, and nobody is there to give its password at a start; decrypt it with:"
              + " openssl pkey -in ENCRYPTED -out KEY");
    }
    return keys.getFirst();
  }

  ServerStartException refused(String why) {
    return new ServerStartException(what + " " + file + " " + why);
  }

  ServerStartException refused(String why, Exception e) {
    return new ServerStartException(what + " " + file + " " + why, e);
  }
}
