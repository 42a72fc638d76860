package dev.zeusd.server.auth;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.Payload;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.MACVerifier;
import dev.zeusd.server.ServerStartException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Issues and checks tokens with one signing key: JWTs signed with HS256, and nothing else.
 *
 * <p>The key is the file's bytes as they are, a trailing newline included, so that tokens are
 * interchangeable with those of other implementations. Neither key nor token is ever logged or part
 * of a message. Thread-safe.
 */
public final class Tokens {
  /** How long after its end a token is still taken, because clocks differ. */
  private static final Duration LEEWAY = Duration.ofSeconds(60);

  /** Far more than a node's clients have; others are checked anew. */
  private static final int MAX_CHECKED = 1000;

  private static final JWSHeader HEADER =
      new JWSHeader.Builder(JWSAlgorithm.HS256).type(JOSEObjectType.JWT).build();

  private final MACSigner signer;
  private final MACVerifier verifier;
  private final InstantSource clock;

  /**
   * What tokens say whose signature was right, by the token's SHA-256: a client sends the same one
   * with every request, and to check it again takes forty times as long as to find it here.
   */
  private final Map<String, Claims> checked = new ConcurrentHashMap<>();

  Tokens(byte[] key, InstantSource clock) throws JOSEException {
    this.signer = new MACSigner(key);
    this.verifier = new MACVerifier(key);
    this.clock = clock;
  }

  /**
   * Reads the signing key; warns when others could read it, or put another one in its place.
   *
   * @throws ServerStartException for a file that cannot be read or can be no key
   */
  public static Tokens withKeyFile(Path file) {
    byte[] key = new KeyFile(file).read();
    try {
      return new Tokens(key, InstantSource.system());
    } catch (JOSEException e) {
      throw new ServerStartException("signing key " + file + " cannot be used", e);
    }
  }

  /** A token with these claims. */
  public String issue(Claims claims) {
    Map<String, Object> payload = new LinkedHashMap<>();
    payload.put("sub", claims.sub());
    payload.put("scopes", claims.scopes());
    claims.exp().ifPresent(exp -> payload.put("exp", exp.getEpochSecond()));
    JWSObject token = new JWSObject(HEADER, new Payload(payload));
    try {
      token.sign(signer);
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
    return token.serialize();
  }

  /**
   * Checks a token.
   *
   * @throws InvalidTokenException if it is not one of ours, or has ended
   */
  public Claims verify(String token) throws InvalidTokenException {
    String digest = digest(token);
    Claims claims = checked.get(digest);
    if (claims == null) {
      claims = check(token);
      if (checked.size() >= MAX_CHECKED) {
        checked.clear();
      }
      checked.put(digest, claims);
    }
    if (clock.instant().isAfter(acceptedUntil(claims))) {
      throw new InvalidTokenException("the token has expired");
    }
    return claims;
  }

  /**
   * Until when a token with these claims is taken, the leeway included; {@link Instant#MAX} if it
   * has no end.
   */
  public static Instant acceptedUntil(Claims claims) {
    return claims.exp().map(exp -> exp.plus(LEEWAY)).orElse(Instant.MAX);
  }

  private static String digest(String token) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
      return new String(digest, StandardCharsets.ISO_8859_1);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private Claims check(String token) throws InvalidTokenException {
    JWSObject signed = parse(token);
    if (!signed.getHeader().getAlgorithm().equals(JWSAlgorithm.HS256)) {
      throw new InvalidTokenException("the token is not signed with HS256");
    }
    try {
      if (!signed.verify(verifier)) {
        throw new InvalidTokenException("the token's signature is wrong");
      }
    } catch (JOSEException | IllegalStateException e) {
      throw new InvalidTokenException("the token's signature cannot be checked", e);
    }
    return claims(signed.getPayload().toJSONObject());
  }

  private static JWSObject parse(String token) throws InvalidTokenException {
    try {
      return JWSObject.parse(token);
    } catch (ParseException | RuntimeException e) {
      // The library itself fails on some of what strangers send. Its message may quote the token.
      throw new InvalidTokenException("not a signed JSON web token");
    }
  }

  private static Claims claims(Map<String, Object> payload) throws InvalidTokenException {
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
        sub, scopes.stream().map(String.class::cast).toList(), exp(payload.get("exp")));
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
            Instant.MAX.getEpochSecond() - LEEWAY.toSeconds());
    return Optional.of(Instant.ofEpochSecond(limited));
  }
}
