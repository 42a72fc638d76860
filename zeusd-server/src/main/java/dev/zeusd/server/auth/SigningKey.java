package dev.zeusd.server.auth;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.MACVerifier;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A key for HS256.
 *
 * @param id names it in the tokens that it signs ({@code kid}), and gives nothing away that these
 *     do not
 */
record SigningKey(String id, MACSigner signer, MACVerifier verifier) {
  private static final int ID_BYTES = 8;

  static SigningKey of(byte[] key) throws JOSEException {
    return new SigningKey(id(key), new MACSigner(key), new MACVerifier(key));
  }

  private static String id(byte[] key) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update("zeusd key id".getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest.digest(key), 0, ID_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
