package dev.zeusd.server.auth;

import com.nimbusds.jose.JWSObject;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.ParseException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What stands in a token, whoever may have signed it.
 *
 * @param claims what it says
 * @param id by which it can be revoked, see {@link #id}
 * @param keyId of the key that it says it was signed with
 */
public record TokenText(Claims claims, String id, Optional<String> keyId) {
  private static final String DIGEST = "sha256:";

  /** Ids that can stand in a line of a file, and cannot be taken for a digest. */
  private static final Pattern PLAIN_ID = Pattern.compile("(?!sha256:)[\\w.:~+/=-]{1,128}");

  /**
   * Takes a token apart without asking for its signature.
   *
   * @param token as clients send it, without "Bearer"
   * @return what the token says
   * @throws InvalidTokenException if it is no token
   */
  public static TokenText of(String token) throws InvalidTokenException {
    JWSObject parsed = parse(token);
    Claims claims = claims(parsed);
    return new TokenText(
        claims, id(token, claims), Optional.ofNullable(parsed.getHeader().getKeyID()));
  }

  /**
   * By which a token can be revoked: its {@code jti} or, if it has none, or none that fits into a
   * line, {@code sha256:} and the digest of what is signed. Not of the signature: that can be
   * spelled in several ways, of which the token's owner would choose another.
   */
  static String id(String token, Claims claims) {
    return claims
        .jti()
        .filter(jti -> PLAIN_ID.matcher(jti).matches())
        .orElseGet(() -> DIGEST + HexFormat.of().formatHex(digest(signed(token))));
  }

  private static String signed(String token) {
    return token.substring(0, token.lastIndexOf('.'));
  }

  /**
   * {@return whether this can be the id of a token}
   *
   * @param text what somebody has given as a token
   */
  public static boolean isId(String text) {
    return text.startsWith(DIGEST)
        ? text.substring(DIGEST.length()).matches("[0-9a-f]{64}")
        : PLAIN_ID.matcher(text).matches();
  }

  static byte[] digest(String token) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  static JWSObject parse(String token) throws InvalidTokenException {
    try {
      return JWSObject.parse(token);
    } catch (ParseException | RuntimeException e) {
      // The library itself fails on some of what strangers send. Its message may quote the token.
      throw new InvalidTokenException("not a signed JSON web token");
    }
  }

  static Claims claims(JWSObject token) throws InvalidTokenException {
    Map<String, Object> payload = token.getPayload().toJSONObject();
    if (payload == null) {
      throw new InvalidTokenException("the token's payload is not a JSON object");
    }
    if (!(payload.get("sub") instanceof String sub)) {
      throw new InvalidTokenException("the token's 'sub' is missing or not a string");
    }
    if (!(payload.get("scopes") instanceof List<?> scopes)
        || !scopes.stream().allMatch(String.class::isInstance)) {
      throw new InvalidTokenException("the token's 'scopes' is missing or not a list of strings");
    }
    return new Claims(
        sub,
        scopes.stream().map(String.class::cast).toList(),
        exp(payload.get("exp")),
        // One of another kind is as good as none: not all who issue tokens think of it.
        payload.get("jti") instanceof String jti ? Optional.of(jti) : Optional.empty());
  }

  private static Optional<Instant> exp(Object exp) throws InvalidTokenException {
    if (exp == null) {
      return Optional.empty();
    }
    if (!(exp instanceof Number seconds) || !Double.isFinite(seconds.doubleValue())) {
      throw new InvalidTokenException("the token's 'exp' is not a number");
    }
    // A number beyond what Instant can hold is as good as its end.
    long limited =
        Math.clamp(
            seconds.longValue(),
            Instant.EPOCH.getEpochSecond(),
            Instant.MAX.getEpochSecond() - Tokens.LEEWAY.toSeconds());
    return Optional.of(Instant.ofEpochSecond(limited));
  }
}
