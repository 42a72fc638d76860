package dev.zeusd.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

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
    return new Claims(user, List.of("gpu-read"), Optional.of(START.plusSeconds(seconds)));
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
}
