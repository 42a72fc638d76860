package dev.zeusd.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.Payload;
import com.nimbusds.jose.crypto.MACSigner;
import dev.zeusd.core.TestLog;
import dev.zeusd.server.ServerStartException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.logging.Level;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens that are checked more than once. */
class TokensTest {
  private static final byte[] KEY =
      "0123456789abcdef0123456789abcdef".getBytes(StandardCharsets.UTF_8);
  private static final Instant START = Instant.ofEpochSecond(1_795_000_000);

  private Instant now = START;
  private final Tokens tokens = tokens(KEY);

  private Tokens tokens(byte[] key) {
    try {
      return new Tokens(key, () -> now);
    } catch (com.nimbusds.jose.JOSEException e) {
      throw new AssertionError(e);
    }
  }

  private Claims claims(String user, long seconds) {
    return new Claims(
        user,
        List.of("gpu-read"),
        Optional.of(START.plusSeconds(seconds)),
        Optional.of("name of " + user));
  }

  @Test
  void oneThatWasGoodEndsAllTheSame() throws InvalidTokenException {
    String token = tokens.issue(claims("alice", 100));
    assertEquals(claims("alice", 100), tokens.verify(token));
    now = START.plusSeconds(160);
    assertEquals(claims("alice", 100), tokens.verify(token));
    now = START.plusSeconds(161);
    InvalidTokenException e = assertThrows(InvalidTokenException.class, () -> tokens.verify(token));
    assertEquals("the token has expired", e.getMessage());
  }

  @Test
  void oneThatWasRefusedStaysRefused() {
    String foreign =
        tokens("fedcba9876543210fedcba9876543210".getBytes(StandardCharsets.UTF_8))
            .issue(claims("eve", 100));
    for (int i = 0; i < 3; i++) {
      assertThrows(InvalidTokenException.class, () -> tokens.verify(foreign));
    }
  }

  @Test
  void aGoodOneDoesNotVouchForItsLikes() throws InvalidTokenException {
    String token = tokens.issue(claims("alice", 100));
    tokens.verify(token);
    int last = token.length() - 1;
    String forged =
        token.substring(0, last - 1)
            + (token.charAt(last - 1) == 'A' ? 'B' : 'A')
            + token.charAt(last);
    assertThrows(InvalidTokenException.class, () -> tokens.verify(forged));
    assertThrows(InvalidTokenException.class, () -> tokens.verify(token + "A"));
    assertThrows(InvalidTokenException.class, () -> tokens.verify(token.substring(0, last)));
  }

  @Test
  void moreThanAreRememberedAreTakenToo() throws InvalidTokenException {
    String first = tokens.issue(claims("first", 100));
    tokens.verify(first);
    for (int i = 0; i < 2500; i++) {
      String user = "user" + i;
      assertEquals(user, tokens.verify(tokens.issue(claims(user, 100))).sub());
    }
    assertEquals("first", tokens.verify(first).sub());
  }

  @Test
  void oneThatIsRevokedIsRefusedAndOthersAreNot() throws Exception {
    String bad = tokens.issue(new Claims("eve", List.of("gpu-read"), Optional.empty()));
    String good = tokens.issue(new Claims("eve", List.of("gpu-read"), Optional.empty()));
    Tokens later = tokens.withRevoked(Set.of(TokenText.of(bad).id()));
    InvalidTokenException e = assertThrows(InvalidTokenException.class, () -> later.verify(bad));
    assertEquals("the token was revoked", e.getMessage());
    assertEquals("eve", later.verify(good).sub());
    assertEquals("eve", tokens.verify(bad).sub());
  }

  private static String issued(String jti) throws JOSEException {
    Map<String, Object> payload = new HashMap<>(Map.of("sub", "eve", "scopes", List.of()));
    if (!jti.isEmpty()) {
      payload.put("jti", jti);
    }
    JWSObject token = new JWSObject(new JWSHeader(JWSAlgorithm.HS256), new Payload(payload));
    token.sign(new MACSigner(KEY));
    return token.serialize();
  }

  /** Also those without a name, of other implementations, or with one that fits in no line. */
  @ParameterizedTest
  @ValueSource(strings = {"", "two words", "#1", "sha256:0", "a\nb"})
  void everyTokenCanBeRevoked(String jti) throws Exception {
    String text = issued(jti);
    assertEquals("eve", tokens.verify(text).sub());
    String id = TokenText.of(text).id();
    assertTrue(id.matches("sha256:[0-9a-f]{64}"), id);
    assertTrue(TokenText.isId(id));
    Tokens later = tokens.withRevoked(Set.of(id));
    assertThrows(InvalidTokenException.class, () -> later.verify(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "two words"})
  void noOtherSpellingOfARevokedTokenIsTaken(String jti) throws Exception {
    String token = issued(jti);
    Tokens later = tokens.withRevoked(Set.of(TokenText.of(token).id()));
    char last = token.charAt(token.length() - 1);
    // The last of 43 digits has two bits that mean nothing.
    String digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    String sameSignature =
        token.substring(0, token.length() - 1) + digits.charAt(digits.indexOf(last) ^ 1);
    for (String spelling : List.of(token, sameSignature, token + "=", token + "==")) {
      assertThrows(InvalidTokenException.class, () -> later.verify(spelling), spelling);
    }
    tokens.verify(sameSignature);
  }

  @Test
  void duringAChangeOfKeysTokensOfBothAreTaken(@TempDir Path directory) throws Exception {
    Path first = key(directory.resolve("first"), "f");
    Path second = key(directory.resolve("second"), "s");
    Claims claims = new Claims("alice", List.of(), Optional.empty());
    Tokens both = Tokens.withKeyFiles(List.of(second, first));
    String old = Tokens.withKeyFile(first).issue(claims);
    String fresh = both.issue(claims);
    assertEquals("alice", both.verify(old).sub());
    assertEquals("alice", both.verify(fresh).sub());
    assertEquals("alice", Tokens.withKeyFile(second).verify(fresh).sub());
    assertThrows(InvalidTokenException.class, () -> Tokens.withKeyFile(first).verify(fresh));
    assertThrows(InvalidTokenException.class, () -> Tokens.withKeyFile(second).verify(old));
    String byOld = both.signingWith(both.keyIds().get(1)).orElseThrow().issue(claims);
    assertEquals("alice", Tokens.withKeyFile(first).verify(byOld).sub());
    assertEquals(TokenText.of(old).keyId(), TokenText.of(byOld).keyId());
    assertEquals(Optional.empty(), both.signingWith("0123456789abcdef"));
  }

  private static Path key(Path file, String letter) throws IOException {
    Files.writeString(file, letter.repeat(44));
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  @Test
  void theFileOfRevokedTokensIsReadStrictly(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("revoked");
    assertEquals(Set.of(), RevokedTokens.read(file));
    assertTrue(RevokedTokens.add(file, "a-1", "alice\nb-2"));
    assertFalse(RevokedTokens.add(file, "a-1", "again"));
    Files.writeString(file, "# by hand\n\nc-3", StandardOpenOption.APPEND);
    assertTrue(RevokedTokens.add(file, "d-4", ""));
    assertEquals(Set.of("a-1", "c-3", "d-4"), RevokedTokens.read(file));
    Files.writeString(file, "two words\n", StandardOpenOption.APPEND);
    ServerStartException e =
        assertThrows(ServerStartException.class, () -> RevokedTokens.read(file));
    assertTrue(e.getMessage().startsWith(file + ":6: 'two words'"), e.getMessage());
  }

  @Test
  void revokedTokensThatMayBeMissingAreNotPassedOverInSilence(@TempDir Path directory)
      throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("gone"));
    ServerStartException e =
        assertThrows(ServerStartException.class, () -> RevokedTokens.read(link));
    assertTrue(e.getMessage().contains(link + " is a symbolic link to something"), e.getMessage());
    Files.writeString(directory.resolve("gone"), "a-1\n0123");
    try (TestLog log = new TestLog(RevokedTokens.class.getName())) {
      assertEquals(Set.of("a-1", "0123"), RevokedTokens.read(link));
      String cut = "the last line of " + link + " has no end";
      assertEquals(
          1, log.lines(Level.WARNING).stream().filter(line -> line.startsWith(cut)).count());
      Files.writeString(directory.resolve("gone"), "a-1\n0123\n");
      RevokedTokens.read(link);
      assertEquals(
          1, log.lines(Level.WARNING).stream().filter(line -> line.startsWith(cut)).count());
    }
  }
}
