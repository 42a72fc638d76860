package dev.zeusd.server.tls;

import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;

/** Private keys as tools write them: PKCS#8, and what each algorithm had before that. */
final class PrivateKeys {
  private static final int SEQUENCE = 0x30;
  private static final int OCTET_STRING = 0x04;
  private static final byte[] VERSION_0 = {0x02, 0x01, 0x00};
  private static final int LONG_FORM = 0x80;

  private PrivateKeys() {}

  /**
   * The key in a block.
   *
   * @param publicKey what it has to fit
   * @throws InvalidKeySpecException if it is damaged, or of another algorithm
   * @throws IllegalArgumentException if it is not Base64
   */
  static PrivateKey of(PemFile.Block block, PublicKey publicKey) throws GeneralSecurityException {
    boolean isPkcs8 = block.label().equals("PRIVATE KEY");
    byte[] bytes = isPkcs8 ? block.bytes() : pkcs8(block.bytes(), publicKey);
    return KeyFactory.getInstance(publicKey.getAlgorithm())
        .generatePrivate(new PKCS8EncodedKeySpec(bytes));
  }

  /** Whether what one of them signs is right by the other one. */
  static boolean fit(PrivateKey key, PublicKey publicKey) throws GeneralSecurityException {
    byte[] text = {1, 2, 3};
    Signature signature = Signature.getInstance(signatureBy(publicKey.getAlgorithm()));
    signature.initSign(key);
    signature.update(text);
    byte[] signed = signature.sign();
    signature.initVerify(publicKey);
    signature.update(text);
    return signature.verify(signed);
  }

  private static String signatureBy(String keyAlgorithm) {
    return switch (keyAlgorithm) {
      case "RSA" -> "SHA256withRSA";
      case "EC" -> "SHA256withECDSA";
      default -> keyAlgorithm;
    };
  }

  /**
   * The same key as PKCS#8 (RFC 5958): in an older form, "RSA PRIVATE KEY" and "EC PRIVATE KEY", it
   * does not say of which algorithm and curve it is; its certificate does.
   */
  private static byte[] pkcs8(byte[] key, PublicKey publicKey) throws InvalidKeySpecException {
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    content.writeBytes(VERSION_0);
    content.writeBytes(firstElement(publicKey.getEncoded()));
    content.writeBytes(element(OCTET_STRING, key));
    return element(SEQUENCE, content.toByteArray());
  }

  /** An element of DER (X.690, 8.1): what it is, its length, its content. */
  private static byte[] element(int tag, byte[] content) {
    ByteArrayOutputStream element = new ByteArrayOutputStream();
    element.write(tag);
    if (content.length < LONG_FORM) {
      element.write(content.length);
    } else {
      element.write(LONG_FORM | 2);
      element.write(content.length >> 8);
      element.write(content.length);
    }
    element.writeBytes(content);
    return element.toByteArray();
  }

  /** The first element of a sequence: in a public key (RFC 5280, 4.1.2.7), its algorithm. */
  private static byte[] firstElement(byte[] sequence) throws InvalidKeySpecException {
    int start = headerLength(sequence, 0);
    int contentLength = sequence[start + 1];
    if (contentLength < 0) {
      throw new InvalidKeySpecException("parameters of the algorithm in full length");
    }
    return Arrays.copyOfRange(sequence, start, start + 2 + contentLength);
  }

  private static int headerLength(byte[] bytes, int at) {
    int length = bytes[at + 1] & 0xff;
    return length < LONG_FORM ? 2 : 2 + (length & ~LONG_FORM);
  }
}
