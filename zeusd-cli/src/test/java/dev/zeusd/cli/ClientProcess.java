package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A client of the Unix socket in a process of its own, which knows nothing of leases. */
final class ClientProcess implements AutoCloseable {
  /** One connection, a request a line; "fork" goes on in a child that has inherited it. */
  private static final String SCRIPT =
      """
      import http.client, os, socket, sys
      connection = http.client.HTTPConnection("localhost")
      connection.sock = socket.socket(socket.AF_UNIX)
      connection.sock.connect(sys.argv[1])
      for line in sys.stdin:
          if line.strip() == "fork":
              if os.fork():
                  os.wait()
              print(os.getpid(), flush=True)
              continue
          method, target = line.split()
          connection.request(method, target)
          answer = connection.getresponse()
          print(answer.status, answer.read().decode(), flush=True)
      """;

  private final Process process;
  private final Writer requests;
  private final BufferedReader answers;

  /** Connects to a socket, by way of a command that is put in front. */
  ClientProcess(Path socket, String... prefix) throws IOException {
    List<String> command = new ArrayList<>(List.of(prefix));
    command.addAll(List.of("python3", "-c", SCRIPT, socket.toString()));
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    requests = process.outputWriter();
    answers = process.inputReader();
  }

  private String send(String line) throws IOException {
    requests.write(line + "\n");
    requests.flush();
    return answers.readLine();
  }

  /** Status and body. */
  String ask(String method, String target) throws IOException {
    return send(method + " " + target);
  }

  void setLimit(int gpu, int mw) throws IOException {
    assertEquals("200 ", ask("POST", limit(gpu, mw)));
  }

  static String limit(int gpu, int mw) {
    return "/gpu/set_power_limit?block=true&gpu_ids=" + gpu + "&power_limit_mw=" + mw;
  }

  /** From now on, a child of the process asks, on the same connection; its number is returned. */
  long fork() throws IOException {
    return Long.parseLong(send("fork"));
  }

  long pid() {
    return process.pid();
  }

  /** By SIGKILL. */
  @Override
  public void close() {
    process.destroyForcibly();
  }
}
