package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.TokenText;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code --config} and SIGHUP, with the whole process. */
@Timeout(120)
class ReloadTest {
  @TempDir private Path directory;
  private Path socket;
  private Path config;

  @BeforeEach
  void prepare() throws IOException {
    assumeFalse(ZeusdProcess.ignoresSignal(1), "SIGHUP is ignored, as nohup does");
    socket = directory.resolve("z.sock");
    config = directory.resolve("zeusd.toml");
  }

  private void write(String grants) throws IOException {
    String text =
        "simulate = true\nsocket-path = '" + socket + "'\nsocket-permissions = '666'\n" + grants;
    Files.writeString(config, text);
    Files.setPosixFilePermissions(config, PosixFilePermissions.fromString("rw-r--r--"));
  }

  private static String grant(String who, String rest) {
    return "[[grant]]\nwho = ['" + who + "']\n" + rest + "\n";
  }

  private ZeusdProcess start() throws Exception {
    ZeusdProcess zeusd =
        ZeusdProcess.startShipped(directory, Map.of(), "", "serve", "--config", config.toString());
    zeusd.awaitListening();
    return zeusd;
  }

  private RawResponse request(String method, String target, String... headers) throws IOException {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket))) {
      return connection.send(RawConnection.request(method, target, headers)).readResponse();
    }
  }

  private static String set(int watts) {
    return "/gpu/set_power_limit?gpu_ids=0&block=true&power_limit_mw=" + watts * 1000;
  }

  @Test
  void aNewFileCountsAndABadOneChangesNothing() throws Exception {
    String own = "uid:" + Files.getAttribute(directory, "unix:uid");
    String control = "groups = ['gpu-control', 'gpu-read']\n";
    write(grant(own, control + "power_limit_w = [300, 400]"));
    try (ZeusdProcess zeusd = start();
        RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket));
        EventStream stream = connection.stream("/gpu/stream_power")) {
      stream.nextData();
      assertEquals(200, request("POST", set(400)).status());
      request("POST", set(401)).assertError(403, "300 to 400 W");

      write(grant(own, control + "power_limit_w = [300, 500]"));
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("info SIGHUP: read again: grants: 1, were 1\\R"));
      assertEquals(200, request("POST", set(401)).status());
      stream.nextData();

      write(grant(own, control + "power_limit = [300, 600]"));
      zeusd.signal("HUP");
      zeusd.awaitErr(
          Pattern.compile("warn SIGHUP: nothing was changed: .*zeusd.toml:7:1: unknown key"));
      request("POST", set(501)).assertError(403, "300 to 500 W");
      stream.nextData();

      write("stream-format = 'snapshot'\n" + grant("uid:54321", control));
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("1 streams ended, whose right is gone"));
      zeusd.awaitErr(Pattern.compile("warn SIGHUP: these take a restart to change: stream-format"));
      connection.drain(RawConnection.PATIENCE);
      request("GET", "/gpu/get_power").assertError(403, "none is for it");
      assertEquals(200, request("GET", "/discover").status());
    }
  }

  private Path key(String name) throws IOException {
    Path file = Files.writeString(directory.resolve(name), name.repeat(40));
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  private static String token(Path key) {
    return Tokens.withKeyFile(key)
        .issue(new Claims("alice", List.of("gpu-read"), Optional.empty()));
  }

  @Test
  void keysAndRevokedTokensAreReadAgain() throws Exception {
    Path first = key("a");
    Path second = key("b");
    Path revoked = directory.resolve("revoked");
    String start = "revoked-tokens = '" + revoked + "'\nsigning-key-path = ";
    write(start + "'" + first + "'\n");
    String old = token(first);
    String fresh = token(second);
    try (ZeusdProcess zeusd = start()) {
      assertEquals(200, read(old).status());
      assertEquals(401, read(fresh).status());

      write(start + "['" + second + "', '" + first + "']\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("info SIGHUP: read again: signing keys: [0-9a-f]{16}, "));
      assertEquals(200, read(old).status());
      assertEquals(200, read(fresh).status());

      Files.writeString(revoked, TokenText.of(fresh).id() + "\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("revoked tokens: 1, were 0"));
      read(fresh).assertError(401, "revoked");
      assertEquals(200, read(old).status());

      write(start + "'" + directory.resolve("missing") + "'\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("warn SIGHUP: nothing was changed: signing key .*missing"));
      assertEquals(200, read(old).status());
      write("");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("nothing was changed: .*takes a restart"));
      assertEquals(401, request("GET", "/gpu/get_power").status());
    }
  }

  @Test
  void theAuditLogIsOpenedAnewWhateverTheRestComesTo() throws Exception {
    Path log = directory.resolve("audit.log");
    Path rotated = directory.resolve("audit.log.1");
    write("audit-log = '" + log + "'\n");
    try (ZeusdProcess zeusd = start()) {
      assertEquals(200, request("POST", set(300)).status());
      assertEquals(1, Files.readAllLines(log).size());
      assertTrue(Files.readString(log).contains("\"pid\":" + ProcessHandle.current().pid()));
      Files.move(log, rotated);
      write("no-such-option = 1\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("warn SIGHUP: nothing was changed"));
      assertEquals(200, request("POST", set(301)).status());
      assertEquals(1, Files.readAllLines(rotated).size());
      assertEquals(1, Files.readAllLines(log).size());

      Path other = directory.resolve("other.log");
      write("audit-log = '" + other + "'\n" + grant("uid:0", "groups = ['gpu-control']"));
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("SIGHUP: read again: grants: 1, were 0; audit log: " + other));
      request("POST", set(302));
      assertTrue(Files.readAllLines(log).getLast().contains("\"event\":\"reload\""));
      assertTrue(Files.readAllLines(other).getLast().contains("302000"));
      Files.setPosixFilePermissions(log, PosixFilePermissions.fromString("rw-rw-rw-"));
      write("audit-log = '" + log + "'\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("nothing was changed: audit log .*lets others write"));
      request("POST", set(303));
      assertTrue(Files.readAllLines(other).getLast().contains("303000"));
    }
  }

  @Test
  void aBaselineIsReadAgain() throws Exception {
    write("");
    try (ZeusdProcess zeusd = start()) {
      write("[[baseline]]\ngpus = [0]\npower_limit_w = 321\n");
      zeusd.signal("HUP");
      zeusd.awaitErr(Pattern.compile("SIGHUP: read again: baseline"));
      Await.until("it is set", () -> limit().equals("{\"0\":{\"power_limit_mw\":321000}}"));
    }
  }

  private String limit() {
    try {
      return request("GET", "/gpu/get_power_limit?gpu_ids=0").body();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private RawResponse read(String token) throws IOException {
    return request("GET", "/gpu/get_power", "Authorization: Bearer " + token);
  }

  /** By what the kernel says of the process that connected, not by the list of users. */
  @Test
  void supplementaryGroupsOfTheProcessCount() throws Exception {
    boolean isRoot = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0;
    assumeTrue(isRoot && Files.isExecutable(Path.of("/usr/bin/setpriv")), "needs root, setpriv");
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/curl")), "needs curl");
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
    write(grant("gid:4711", "groups = ['gpu-read']") + grant("uid:4712", "groups = ['gpu-read']"));
    try (ZeusdProcess zeusd = start()) {
      assertTrue(zeusd.isAlive());
      assertEquals(403, statusOf("--reuid=1234", "--regid=1234", "--clear-groups"));
      assertEquals(200, statusOf("--reuid=1234", "--regid=4711", "--clear-groups"));
      assertEquals(200, statusOf("--reuid=1234", "--regid=1234", "--groups=5,4711,6"));
      assertEquals(200, statusOf("--reuid=4712", "--regid=1234", "--clear-groups"));
      assertEquals(403, statusOf("--reuid=4711", "--regid=4712", "--clear-groups"));
    }
  }

  private int statusOf(String... user) throws Exception {
    List<String> command = new java.util.ArrayList<>(List.of("setpriv"));
    command.addAll(List.of(user));
    command.addAll(List.of("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket"));
    command.addAll(List.of(socket.toString(), "http://localhost/gpu/get_power"));
    Process curl = new ProcessBuilder(command).start();
    String status = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    curl.waitFor();
    return Integer.parseInt(status);
  }
}
