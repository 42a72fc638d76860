package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.RawConnection;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Text of the command line, given as bytes by a shell: UTF-8, whatever the locale. The words are in
 * octal, so that the locale of the tests themselves does not matter.
 */
class LocaleTest {
  private static final String U_UMLAUT = "\\303\\274";
  private static final String O_UMLAUT = "\\303\\266";

  @TempDir private Path directory;

  @BeforeEach
  void makeKey() throws Exception {
    Path key = Files.writeString(directory.resolve("key"), "k".repeat(44));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
  }

  /** In a locale; the last of {@code words} is in printf's notation. */
  private ZeusdProcess start(String locale, String... words) throws Exception {
    String decodeLast =
        "unset LANG LC_ALL LC_CTYPE; cd '"
            + directory
            + "'; "
            + (locale.isEmpty() ? "" : "export LC_ALL=" + locale + "; ")
            + "for last; do :; done; last=$(printf \"$last\"); n=$#; i=0;"
            + " for word; do shift; i=$((i + 1));"
            + " [ $i -eq $n ] && set -- \"$@\" \"$last\" || set -- \"$@\" \"$word\"; done;"
            + " exec \"$@\"";
    return ZeusdProcess.start(
        directory, Map.of(), List.of("sh", "-c", decodeLast, "sh"), ClassPath.OWN, words);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "C", "POSIX", "C.UTF-8", "en_US.ISO-8859-1", "xx_YY.UTF-8"})
  void usersKeepTheirNames(String locale) throws Exception {
    for (String name : List.of("J" + U_UMLAUT + "rgen", "J" + O_UMLAUT + "rgen")) {
      try (ZeusdProcess zeusd =
          start(
              locale, "token", "issue", "--signing-key-path=key", "--expires=1h", "--user", name)) {
        assertEquals(0, zeusd.awaitExit(), zeusd::toString);
        String sub = Tokens.withKeyFile(directory.resolve("key")).verify(zeusd.out().strip()).sub();
        assertEquals(name.contains(U_UMLAUT) ? "J\u00fcrgen" : "J\u00f6rgen", sub);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "C.UTF-8"})
  void refusesWhatIsNoUtf8(String locale) throws Exception {
    try (ZeusdProcess zeusd =
        start(
            locale,
            "token",
            "issue",
            "--signing-key-path=key",
            "--expires=1h",
            "--user",
            "J\\374rgen")) {
      assertEquals(2, zeusd.awaitExit(), zeusd::toString);
      assertTrue(zeusd.err().contains("not UTF-8"), zeusd::toString);
      assertEquals("", zeusd.out());
    }
  }

  /** The process begins anew for it; it is still the one that was started. */
  @Test
  void pathsNeedNotBeAscii() throws Exception {
    Path socket = directory.resolve("\u00fc.sock");
    try (ZeusdProcess zeusd =
        start("", "serve", "--simulate", "--socket-path", U_UMLAUT + ".sock")) {
      zeusd.awaitListening();
      try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket))) {
        assertEquals(200, connection.get("/time").status());
      }
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit(), zeusd::toString);
    }
    assertFalse(Files.exists(socket));
  }
}
