package dev.zeusd.server.auth;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.Payload;
import dev.zeusd.server.ServerStartException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Issues and checks tokens: JWTs signed with HS256, and nothing else. During a change of keys there
 * are several: the first one signs, tokens of all are taken.
 *
 * <p>A key is the file's bytes as they are, a trailing newline included, so that tokens are
 * interchangeable with those of other implementations. Neither key nor token is ever logged or part
 * of a message. Thread-safe.
 */
public final class Tokens {
  /** How long after its end a token is still taken, because clocks differ. */
  static final Duration LEEWAY = Duration.ofSeconds(60);

  /** Far more than a node's clients have; others are checked anew. */
  private static final int MAX_CHECKED = 1000;

  private final List<SigningKey> keys;
  private final Set<String> revokedIds;
  private final InstantSource clock;

  /**
   * What tokens say whose signature was right, by the token's SHA-256: a client sends the same one
   * with every request, and to check it again takes forty times as long as to find it here.
   */
  private final Map<String, Claims> checked = new ConcurrentHashMap<>();

  Tokens(byte[] key, InstantSource clock) throws JOSEException {
    this(List.of(SigningKey.of(key)), Set.of(), clock);
  }

  private Tokens(List<SigningKey> keys, Set<String> revokedIds, InstantSource clock) {
    this.keys = List.copyOf(keys);
    this.revokedIds = Set.copyOf(revokedIds);
    this.clock = clock;
  }

  /**
   * Reads the signing key; warns when others could read it, or put another one in its place.
   *
   * @param file with the key: its bytes as they are, 32 at least
   * @return tokens that are signed with that key
   * @throws ServerStartException for a file that cannot be read or can be no key
   */
  public static Tokens withKeyFile(Path file) {
    return withKeyFiles(List.of(file));
  }

  /**
   * {@return the same with several keys, of which the first signs}
   *
   * @param files one or more
   */
  public static Tokens withKeyFiles(List<Path> files) {
    if (files.isEmpty()) {
      throw new IllegalArgumentException("no key");
    }
    List<SigningKey> keys = new ArrayList<>();
    for (Path file : files) {
      byte[] key = new KeyFile(file).read();
      try {
        keys.add(SigningKey.of(key));
      } catch (JOSEException e) {
        throw new ServerStartException("signing key " + file + " cannot be used", e);
      }
    }
    return new Tokens(keys, Set.of(), InstantSource.system());
  }

  /**
   * {@return the same, not taking tokens of these ids, as {@link TokenText#id} has them}
   *
   * @param ids of tokens that are no longer taken
   */
  public Tokens withRevoked(Set<String> ids) {
    return new Tokens(keys, ids, clock);
  }

  /**
   * {@return the same, signing with the key of this id; empty if there is none}
   *
   * @param keyId what the key is called in tokens
   */
  public Optional<Tokens> signingWith(String keyId) {
    List<SigningKey> others = new ArrayList<>(keys);
    Optional<SigningKey> own = keys.stream().filter(key -> key.id().equals(keyId)).findFirst();
    own.ifPresent(others::remove);
    own.ifPresent(key -> others.addFirst(key));
    return own.map(key -> new Tokens(others, revokedIds, clock));
  }

  /** {@return the ids of the keys, that of the signing one first} */
  public List<String> keyIds() {
    return keys.stream().map(SigningKey::id).toList();
  }

  /** {@return the ids of the revoked tokens} */
  public Set<String> revokedIds() {
    return revokedIds;
  }

  /**
   * {@return a token with these claims, and a new id if they have none}
   *
   * @param claims what the token is to say
   */
  public String issue(Claims claims) {
    Map<String, Object> payload = new LinkedHashMap<>();
    payload.put("sub", claims.sub());
    payload.put("scopes", claims.scopes());
    claims.exp().ifPresent(exp -> payload.put("exp", exp.getEpochSecond()));
    payload.put("jti", claims.jti().orElseGet(() -> UUID.randomUUID().toString()));
    SigningKey key = keys.getFirst();
    JWSHeader header =
        new JWSHeader.Builder(JWSAlgorithm.HS256).type(JOSEObjectType.JWT).keyID(key.id()).build();
    JWSObject token = new JWSObject(header, new Payload(payload));
    try {
      token.sign(key.signer());
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
    return token.serialize();
  }

  /**
   * Checks a token.
   *
   * @param token as clients send it, without "Bearer"
   * @return what the token says
   * @throws InvalidTokenException if it is not one of ours, has ended, or was revoked
   */
  public Claims verify(String token) throws InvalidTokenException {
    String digest = new String(TokenText.digest(token), StandardCharsets.ISO_8859_1);
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
    if (!revokedIds.isEmpty() && revokedIds.contains(TokenText.id(token, claims))) {
      throw new InvalidTokenException("the token was revoked");
    }
    return claims;
  }

  /**
   * {@return until when a token with these claims is taken, the leeway included; {@link
   * Instant#MAX} if it has no end}
   *
   * @param claims what the token says
   */
  public static Instant acceptedUntil(Claims claims) {
    return claims.exp().map(exp -> exp.plus(LEEWAY)).orElse(Instant.MAX);
  }

  private Claims check(String token) throws InvalidTokenException {
    JWSObject signed = TokenText.parse(token);
    if (!signed.getHeader().getAlgorithm().equals(JWSAlgorithm.HS256)) {
      throw new InvalidTokenException("the token is not signed with HS256");
    }
    for (SigningKey key : keys) {
      try {
        if (signed.verify(key.verifier())) {
          return TokenText.claims(signed);
        }
      } catch (JOSEException | IllegalStateException e) {
        throw new InvalidTokenException("the token's signature cannot be checked", e);
      }
    }
    throw new InvalidTokenException("the token's signature is wrong");
  }
}
