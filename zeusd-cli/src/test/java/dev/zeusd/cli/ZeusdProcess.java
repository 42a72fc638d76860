package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.RawConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The command in a process of its own, as users run it. */
final class ZeusdProcess implements AutoCloseable {
  private static final long PATIENCE_SECONDS = RawConnection.PATIENCE.toSeconds();

  /** The command of an image that is to be tested, as -Dzeusd.command=.../bin/zeusd; or empty. */
  static final String IMAGE = System.getProperty("zeusd.command", "");

  private static final String JAVA =
      Path.of(System.getProperty("java.home"), "bin", "java").toString();
  private static final Pattern LISTENING = Pattern.compile("listening at (\\S+:)?(\\S+), ");

  private final Process process;
  private final Path out;
  private final Path err;

  private ZeusdProcess(Process process, Path out, Path err) {
    this.process = process;
    this.out = out;
    this.err = err;
  }

  /** Starts {@code zeusd} with {@code args}; what it says is kept in {@code directory}. */
  static ZeusdProcess start(Path directory, Map<String, String> environment, String... args)
      throws IOException {
    return start(directory, environment, List.of(), ClassPath.OWN, args);
  }

  /** The same by way of a command that is put in front, and with another class path. */
  static ZeusdProcess start(
      Path directory,
      Map<String, String> environment,
      List<String> prefix,
      String classPath,
      String... args)
      throws IOException {
    return start(directory, environment, prefix, ClassPath.options(classPath), args);
  }

  /** The same with options of the JVM, its class path among them. */
  static ZeusdProcess start(
      Path directory,
      Map<String, String> environment,
      List<String> prefix,
      List<String> options,
      String... args)
      throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.add(JAVA);
    command.addAll(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(options);
    command.add(Zeusd.class.getName());
    command.addAll(List.of(args));
    return start(directory, environment, command);
  }

  /** The same in {@code directory} as the current one. */
  static ZeusdProcess startIn(Path directory, Map<String, String> environment, String... args)
      throws IOException {
    String shell = "cd \"$0\" && exec \"$@\"";
    return start(
        directory,
        environment,
        List.of("sh", "-c", shell, directory.toString()),
        ClassPath.OWN,
        args);
  }

  /**
   * As it is shipped: the {@link #IMAGE}, or this class path with the installed daemon's JVM
   * options.
   *
   * @param shell what a shell does before it becomes the command, such as {@code ulimit -n 64;}
   */
  static ZeusdProcess startShipped(
      Path directory, Map<String, String> environment, String shell, String... args)
      throws IOException {
    List<String> command = new ArrayList<>(List.of("sh", "-c", shell + " exec \"$@\"", "sh"));
    if (IMAGE.isEmpty()) {
      command.addAll(List.of(JAVA, "@src/dist/jvm.options"));
      command.addAll(List.of("-cp", ClassPath.OWN));
      command.add(Zeusd.class.getName());
    } else {
      command.add(IMAGE);
    }
    command.addAll(List.of(args));
    return start(directory, environment, command);
  }

  private static ZeusdProcess start(
      Path directory, Map<String, String> environment, List<String> command) throws IOException {
    command = withOwnState(directory, command);
    Path out = Files.createTempFile(directory, "zeusd", ".out");
    Path err = Files.createTempFile(directory, "zeusd", ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    // Of who runs the tests; and the daemon is to think of no service manager, unless it is told.
    for (String inherited :
        List.of("FAKE_NVML_STATE", "INVOCATION_ID", "NOTIFY_SOCKET", "KUBERNETES_SERVICE_HOST")) {
      builder.environment().remove(inherited);
    }
    builder.environment().putAll(environment);
    return new ZeusdProcess(builder.start(), out, err);
  }

  /**
   * With a state directory that no other test has, nor this machine's own daemon, unless it names
   * one.
   */
  private static List<String> withOwnState(Path directory, List<String> command)
      throws IOException {
    int serve = command.indexOf("serve");
    int config = command.indexOf("--config") + 1;
    boolean namesOne =
        command.stream().anyMatch(word -> word.startsWith("--state-dir"))
            || config > 0
                && config < command.size()
                && Files.isRegularFile(Path.of(command.get(config)))
                && Files.readString(Path.of(command.get(config))).contains("state-dir");
    if (serve < 0 || namesOne) {
      return command;
    }
    List<String> with = new ArrayList<>(command);
    with.add(serve + 1, "--state-dir=" + directory.resolve("own-state"));
    return with;
  }

  String out() throws IOException {
    return Files.readString(out);
  }

  String err() throws IOException {
    return Files.readString(err);
  }

  /** How many file descriptors it has open. */
  long openFiles() throws IOException {
    try (Stream<Path> files = Files.list(proc("fd"))) {
      return files.count();
    }
  }

  /** A number from its /proc/PID/status, such as {@code Threads} or, in KB, {@code VmRSS}. */
  long status(String name) throws IOException {
    return Long.parseLong(status(proc("status"), name));
  }

  /** Whether this process ignores a signal: what it starts does so, too. */
  static boolean ignoresSignal(int number) throws IOException {
    String ignored = status(Path.of("/proc/self/status"), "SigIgn");
    return (Long.parseUnsignedLong(ignored, 16) & 1L << number - 1) != 0;
  }

  /** Whether processes can be started in new namespaces here. */
  static boolean canUnshare(String option) throws InterruptedException {
    try {
      Process trial = new ProcessBuilder("unshare", option, "--fork", "true").start();
      return trial.waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  /** What such a file has behind a name. */
  static String status(Path file, String name) throws IOException {
    try (Stream<String> lines = Files.lines(file)) {
      String line = lines.filter(each -> each.startsWith(name + ":")).findFirst().orElseThrow();
      return line.split("\\s+")[1];
    }
  }

  private Path proc(String file) {
    return Path.of("/proc", String.valueOf(process.pid()), file);
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /** Waits for a line that says where it listens, and gives the port, or the path of the socket. */
  String awaitListening() throws IOException, InterruptedException {
    return awaitErr(LISTENING).group(2);
  }

  /** Waits until what it says matches somewhere. */
  MatchResult awaitErr(Pattern pattern) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (process.isAlive() && System.nanoTime() < deadline) {
      Matcher matcher = pattern.matcher(err());
      if (matcher.find()) {
        return matcher;
      }
      Thread.sleep(10);
    }
    return fail("does not say " + pattern + ": " + err());
  }

  int awaitPort() throws IOException, InterruptedException {
    return Integer.parseInt(awaitListening());
  }

  /** Sends a signal by its name, such as TERM. */
  void signal(String name) throws IOException, InterruptedException {
    Process kill = new ProcessBuilder("kill", "-" + name, String.valueOf(process.pid())).start();
    assertEquals(0, kill.waitFor());
  }

  int awaitExit() throws IOException, InterruptedException {
    assertTrue(
        process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS), () -> "still runs after a long time");
    return process.exitValue();
  }

  /**
   * As {@link #assertFails}, of one that insists on a driver. Where that is late, on a machine that
   * stood still, it goes on without: then another one.
   */
  static void assertInsists(Callable<ZeusdProcess> start, String... mentioned) throws Exception {
    for (int attempt = 0; attempt < 5; attempt++) {
      try (ZeusdProcess zeusd = start.call()) {
        Await.until(
            "it ends, or goes on",
            () -> !zeusd.isAlive() || zeusd.err().contains(" has not answered yet"));
        if (!zeusd.isAlive()) {
          zeusd.assertFails(mentioned);
          return;
        }
      }
    }
    fail("it goes on each time");
  }

  /** Ends with status 1 and one line, beside its log, that says why, in these words. */
  void assertFails(String... mentioned) throws IOException, InterruptedException {
    assertEquals(1, awaitExit(), this::toString);
    // A warning that a GPU does not answer is no fault where all start at once.
    List<String> lines =
        err().lines().filter(line -> !line.matches("\\S+Z (info|warn) .*")).toList();
    assertEquals(1, lines.size(), err());
    assertTrue(lines.getFirst().startsWith("error: "), err());
    for (String text : mentioned) {
      assertTrue(lines.getFirst().contains(text), () -> "no '" + text + "' in " + lines);
    }
    assertEquals("", out());
  }

  @Override
  public String toString() {
    try {
      return "zeusd said: " + out() + err();
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Override
  public void close() {
    // Also one that runs below another program, which may go on writing for a moment.
    List<ProcessHandle> family =
        Stream.concat(Stream.of(process.toHandle()), process.descendants()).toList();
    family.forEach(ProcessHandle::destroyForcibly);
    family.forEach(each -> each.onExit().completeOnTimeout(each, 10, TimeUnit.SECONDS).join());
  }
}
