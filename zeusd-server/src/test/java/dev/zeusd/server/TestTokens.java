package dev.zeusd.server;

import dev.zeusd.server.auth.Tokens;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Tokens made by hand, the wrong ones too; nothing here knows the library that checks them. */
final class TestTokens {
  /** As {@code openssl rand -base64 32} writes it, with the newline at its end. */
  static final String KEY = "u6O0gY9d7dWQmO4o2VhNnW1Yl0w3T2y8bq5rJxkE4cA=\n";

  static final String HS256 = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

  private TestTokens() {}

  /** What a server with {@link #KEY} checks tokens with. */
  static Tokens checker() throws IOException {
    Path file =
        Files.createTempFile(
            "signing",
            ".key",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    try {
      Files.writeString(file, KEY);
      return Tokens.withKeyFile(file);
    } finally {
      Files.delete(file);
    }
  }

  /** A good token of alice's with these scopes, as a header line. */
  static String header(String... scopes) {
    String list = scopes.length == 0 ? "" : "\"" + String.join("\",\"", scopes) + "\"";
    return bearer(hs256("{\"sub\":\"alice\",\"scopes\":[" + list + "]}"));
  }

  static String bearer(String token) {
    return "Authorization: Bearer " + token;
  }

  static String hs256(String payload) {
    return signed(HS256, payload, "HmacSHA256", KEY);
  }

  /** A token signed with any algorithm and key, whatever its header says. */
  static String signed(String header, String payload, String algorithm, String key) {
    String content = base64(header.getBytes(StandardCharsets.UTF_8)) + "." + base64(payload);
    try {
      Mac mac = Mac.getInstance(algorithm);
      mac.init(new SecretKeySpec(key.getBytes(StandardCharsets.UTF_8), algorithm));
      byte[] signature = mac.doFinal(content.getBytes(StandardCharsets.UTF_8));
      return content + "." + base64(signature);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A token without a signature. */
  static String unsigned(String header, String payload) {
    return base64(header) + "." + base64(payload) + ".";
  }

  private static String base64(String text) {
    return base64(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String base64(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
