package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of a token after it was issued: shown, revoked, signed by another key. */
class TokenCommandsTest {
  @TempDir private Path directory;
  private Path key;
  private Path revoked;

  @BeforeEach
  void makeKey() throws Exception {
    key = key("signing.key", "k");
    revoked = directory.resolve("revoked");
  }

  private Path key(String name, String letter) throws Exception {
    Path file = Files.writeString(directory.resolve(name), letter.repeat(44) + "\n");
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  private String issue(Path signingKey) {
    Said said =
        Said.by(
            "token",
            "issue",
            "--signing-key-path=" + signingKey,
            "--user=alice",
            "--scope=gpu-read,cpu-read",
            "--expires=1h");
    assertEquals(0, said.status(), said.err());
    return said.out().strip();
  }

  private Said show(String token, Path... keys) {
    List<String> args =
        new java.util.ArrayList<>(List.of("token", "show", token, "--revoked-tokens=" + revoked));
    for (Path each : keys) {
      args.add("--signing-key-path=" + each);
    }
    return Said.by(args.toArray(String[]::new));
  }

  private static String value(Said said, String name) {
    return said.out()
        .lines()
        .filter(line -> line.startsWith(name + ":"))
        .map(line -> line.substring(name.length() + 1).strip())
        .findFirst()
        .orElseThrow();
  }

  @Test
  void showsWhatATokenSaysWithoutTheKey() {
    Said said = show(issue(key));
    assertEquals(0, said.status(), said.err());
    assertEquals("alice", value(said, "user"));
    assertEquals("gpu-read, cpu-read", value(said, "scopes"));
    assertTrue(value(said, "expires").matches("20\\d\\d-.*Z"), said.out());
    assertTrue(value(said, "id").matches("[0-9a-f-]{36}"), said.out());
    assertTrue(value(said, "key id").matches("[0-9a-f]{16}"), said.out());
    assertTrue(value(said, "accepted").startsWith("not checked"), said.out());
  }

  @Test
  void saysWithTheKeyWhetherATokenIsTaken() throws Exception {
    String token = issue(key);
    assertEquals("yes", value(show(token, key), "accepted"));
    Path other = key("other.key", "o");
    Said foreign = show(token, other);
    assertEquals(1, foreign.status());
    assertEquals("no: the token's signature is wrong", value(foreign, "accepted"));
    assertEquals("yes", value(show(token, other, key), "accepted"));
  }

  @Test
  void revokesATokenOrItsId() throws Exception {
    String one = issue(key);
    String two = issue(key);
    String three = issue(key);
    String file = "--revoked-tokens=" + revoked;
    assertEquals(0, Said.by("token", "revoke", one, file).status());
    assertEquals(0, Said.by("token", "revoke", value(show(two), "id"), file).status());
    assertTrue(Said.by("token", "revoke", one, file).out().contains("already"));
    assertEquals("no: the token was revoked", value(show(one, key), "accepted"));
    assertEquals("no: the token was revoked", value(show(two, key), "accepted"));
    assertEquals("yes", value(show(three, key), "accepted"));
    assertTrue(Files.readString(revoked).contains("alice, until 20"), Files.readString(revoked));
    assertFalse(Files.readString(revoked).contains(one), "the token itself is in the file");
  }

  @Test
  void takesATokenFromStdin() {
    String token = issue(key);
    InputStream stdin = System.in;
    try {
      System.setIn(new ByteArrayInputStream((token + "\n").getBytes(StandardCharsets.UTF_8)));
      assertEquals(0, Said.by("token", "revoke", "-", "--revoked-tokens=" + revoked).status());
    } finally {
      System.setIn(stdin);
    }
    assertEquals("no: the token was revoked", value(show(token, key), "accepted"));
  }

  @Test
  void refusesWhatIsNoToken() {
    for (String command : List.of("show", "revoke")) {
      Said said = Said.by("token", command, "eyJ.not.one", "--revoked-tokens=" + revoked);
      assertEquals(2, said.status(), said.err());
      assertFalse(said.err().contains("eyJ.not.one"), "shows what may be a token: " + said.err());
    }
    assertEquals(
        2, Said.by("token", "revoke", "two words", "--revoked-tokens=" + revoked).status());
    assertFalse(Files.exists(revoked));
  }

  @Test
  void signsWithTheKeyOfAnId() throws Exception {
    Path other = key("other.key", "o");
    String id = value(show(issue(other)), "key id");
    String[] both = {
      "token",
      "issue",
      "--signing-key-path=" + key,
      "--signing-key-path=" + other,
      "--user=bob",
      "--expires=1h"
    };
    assertEquals("yes", value(show(Said.by(both).out().strip(), key), "accepted"));
    String[] byId = java.util.Arrays.copyOf(both, both.length + 1);
    byId[both.length] = "--key-id=" + id;
    assertEquals("yes", value(show(Said.by(byId).out().strip(), other), "accepted"));
    byId[both.length] = "--key-id=0000000000000000";
    Said unknown = Said.by(byId);
    assertEquals(2, unknown.status());
    assertTrue(unknown.err().contains(id), unknown.err());
  }
}
