package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.RawConnection;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a process writes on stderr, to a terminal and to the journal. */
class LoggingTest {
  /** As systemd does it: the variable names what fd 2 is. */
  private static final String TELL_OF_JOURNAL =
      "JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/2) && export JOURNAL_STREAM && ";

  private static final String[] SIMULATED = {
    "serve", "--simulate", "--mode", "tcp", "--tcp-bind-address", "127.0.0.1:0"
  };
  private static final String TIMED = "\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z (info|warn|error) .*";

  @TempDir private Path directory;

  private ZeusdProcess start(Map<String, String> environment, String shell, String... args)
      throws IOException {
    return ZeusdProcess.start(
        directory, environment, List.of("sh", "-c", shell, "sh"), ClassPath.OWN, args);
  }

  @Test
  void theJournalGetsLevelsAndNoTimes() throws Exception {
    try (ZeusdProcess zeusd = start(Map.of(), TELL_OF_JOURNAL + "exec \"$@\"", SIMULATED)) {
      zeusd.awaitListening();
      zeusd.awaitErr(Pattern.compile("^<4>TCP without authentication", Pattern.MULTILINE));
      assertTrue(zeusd.err().startsWith("<6>listening at "), zeusd::toString);
      assertTrue(
          zeusd.err().lines().allMatch(line -> line.matches("<[46]>\\D.*")), zeusd::toString);
    }
  }

  /** Through a pipe; the same with the startup's error, which is no line of the log. */
  @Test
  void theJournalGetsStartupErrors() throws Exception {
    String piped = "exec 3>&1; { " + TELL_OF_JOURNAL + " \"$@\"; } 2>&1 >&3 | cat >&2";
    Path file = Files.createFile(directory.resolve("file"));
    try (ZeusdProcess zeusd =
        start(Map.of(), piped, "serve", "--simulate", "--socket-path", file.toString())) {
      zeusd.awaitExit();
      String last = zeusd.err().lines().toList().getLast();
      assertTrue(last.startsWith("<3>error: ") && last.contains(file.toString()), zeusd::toString);
      assertTrue(zeusd.err().startsWith("<"), zeusd::toString);
    }
  }

  /** A variable that was inherited from a service, by a process whose stderr is another one. */
  @ParameterizedTest
  @ValueSource(strings = {"1:1", "nonsense"})
  void anotherStderrGetsTimes(String journalStream) throws Exception {
    Map<String, String> environment = Map.of("JOURNAL_STREAM", journalStream);
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, environment, SIMULATED)) {
      zeusd.awaitListening();
      zeusd.awaitErr(Pattern.compile("TCP without authentication.*\\R"));
      assertTrue(zeusd.err().lines().allMatch(line -> line.matches(TIMED)), zeusd::toString);
    }
  }

  /** And reads are not logged. */
  @Test
  void aWriteIsLoggedWithTheUserWhoConnected() throws Exception {
    Path socket = directory.resolve("zeusd.sock");
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory, Map.of(), "serve", "--simulate", "--socket-path", socket.toString())) {
      SocketAddress address = UnixDomainSocketAddress.of(zeusd.awaitListening());
      try (RawConnection connection = RawConnection.open(address)) {
        assertEquals(200, connection.get("/gpu/get_power").status());
        assertEquals(200, connection.get("/cpu/get_power").status());
      }
      setLimit(address);
      String user = Pattern.quote(System.getProperty("user.name"));
      zeusd.awaitErr(
          Pattern.compile(
              " info set_power_limit \\{power_limit_mw=200000} on GPUs \\[0] by local user "
                  + user
                  + ": done after \\d+ us\\R"));
      assertEquals(2, zeusd.err().lines().count(), zeusd::toString);
    }
  }

  @Test
  void neitherKeyNorTokenIsEverLogged() throws Exception {
    String secret = "a key of thirty-two bytes or more";
    Path key = Files.writeString(directory.resolve("key"), secret);
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
    String good =
        Tokens.withKeyFile(key)
            .issue(new Claims("alice", List.of("gpu-control"), Optional.empty()));
    String[] args =
        Stream.concat(
                Stream.of(SIMULATED), Stream.of("--log-level=debug", "--signing-key-path=" + key))
            .toArray(String[]::new);
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, Map.of(), args)) {
      SocketAddress address = new InetSocketAddress("127.0.0.1", zeusd.awaitPort());
      setLimit(address, "Authorization: Bearer " + good);
      List<String> tokens = List.of(good, good + "x", good.replace('.', '-'), "secret-nonsense");
      for (String token : tokens) {
        try (RawConnection connection = RawConnection.open(address)) {
          // Refused for the scope or for the token; the last one breaks the request off.
          connection.get("/gpu/get_power", "Authorization: Bearer " + token);
          connection.get("/auth/whoami?token=" + token);
          connection.send("GET /time HTTP/1.1\r\nAuthorization: Bearer " + token + "\0\r\n\r\n");
          connection.drain(RawConnection.PATIENCE);
        }
      }
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
      assertTrue(zeusd.err().contains("by user 'alice': done"), zeusd::toString);
      assertFalse(zeusd.err().contains(secret), zeusd::toString);
      for (String token : tokens) {
        String signature = token.substring(token.lastIndexOf('.') + 1);
        assertFalse(zeusd.err().contains(signature), () -> token + "; " + zeusd);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", TELL_OF_JOURNAL})
  void whatAClientSaysStaysInItsLine(String shell) throws Exception {
    Path key = Files.writeString(directory.resolve("key"), "k".repeat(32));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
    String name = "eve\n<0>forged\r\u001b[31m\u0085\u009b1m\u2028\u202egnihton";
    String token =
        Tokens.withKeyFile(key).issue(new Claims(name, List.of("gpu-control"), Optional.empty()));
    try (ZeusdProcess zeusd =
        start(Map.of(), shell + "exec \"$@\" --signing-key-path " + key, SIMULATED)) {
      setLimit(
          new InetSocketAddress("127.0.0.1", zeusd.awaitPort()), "Authorization: Bearer " + token);
      zeusd.awaitErr(Pattern.compile("gnihton': done after .*\\R"));
      String line = zeusd.err().lines().toList().getLast();
      assertTrue(
          line.contains(" by user 'eve <0>forged  [31m  1m  gnihton': done"), zeusd::toString);
      assertTrue(line.matches(shell.isEmpty() ? TIMED : "<6>\\D.*"), line);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "exec \"$@\" 2>/dev/full",
        // A pipe that has lost its reader.
        "cd \"$TMPDIR\" && mkfifo pipe && exec 3<>pipe 2>pipe 3<&- && exec \"$@\""
      })
  void aLogThatCannotBeWrittenStopsNothing(String shell) throws Exception {
    Path socket = directory.resolve("zeusd.sock");
    try (ZeusdProcess zeusd =
        start(
            Map.of("TMPDIR", directory.toString()),
            shell,
            "serve",
            "--simulate",
            "--socket-path",
            socket.toString())) {
      long deadline = System.nanoTime() + 30_000_000_000L;
      while (!listens(socket)) {
        assertTrue(System.nanoTime() < deadline && zeusd.isAlive(), "does not listen");
        Thread.sleep(10);
      }
      for (int i = 0; i < 3; i++) {
        setLimit(UnixDomainSocketAddress.of(socket));
      }
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
    }
  }

  /** There is a moment in which the socket is there, and nobody listens yet. */
  private static boolean listens(Path socket) {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket))) {
      return connection.get("/time").status() == 200;
    } catch (IOException e) {
      return false;
    }
  }

  private static void setLimit(SocketAddress address, String... headers) throws IOException {
    String target = "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true";
    try (RawConnection connection = RawConnection.open(address)) {
      connection.send(RawConnection.request("POST", target, headers));
      assertEquals(200, connection.readResponse().status());
    }
  }

  @Test
  void tokenIssueWarnsInOneLine() throws Exception {
    Path key = Files.writeString(directory.resolve("key"), "k".repeat(32));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory,
            Map.of(),
            "token",
            "issue",
            "--signing-key-path=" + key,
            "--user=u",
            "--expires=1h")) {
      assertEquals(0, zeusd.awaitExit(), zeusd::toString);
      assertEquals(1, zeusd.out().lines().count(), zeusd::toString);
      assertEquals(1, zeusd.err().lines().count(), zeusd::toString);
      assertTrue(zeusd.err().contains(" warn SIGNING KEY " + key), zeusd::toString);
    }
  }
}
