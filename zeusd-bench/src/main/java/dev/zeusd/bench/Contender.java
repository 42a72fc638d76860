package dev.zeusd.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * An executable with the command line of zeusd.
 *
 * @param executable the program, or a script that ends in {@code exec} of it
 */
record Contender(Path executable) {
  /** What {@code --version} prints. */
  String version() throws BenchException, InterruptedException {
    return output(List.of("--version"));
  }

  /** A token that allows reading GPUs, made by this program. */
  String issueToken(Path signingKey) throws BenchException, InterruptedException {
    return output(
        List.of(
            "token",
            "issue",
            "--signing-key-path",
            signingKey.toString(),
            "--user",
            "bench",
            "--scope",
            "gpu-read",
            "--expires",
            "1h"));
  }

  /** The command line that starts the daemon in this setup. */
  List<String> serveCommand(Setup setup, String address, Path signingKey) {
    List<String> command = new ArrayList<>(List.of(executable.toString(), "serve"));
    if (setup.isTcp()) {
      command.addAll(List.of("--mode", "tcp", "--tcp-bind-address", address));
    } else {
      command.addAll(List.of("--mode", "uds", "--socket-path", address));
    }
    command.addAll(List.of("--enable", setup.groups()));
    if (setup.hasAuth()) {
      command.addAll(List.of("--signing-key-path", signingKey.toString()));
    }
    return command;
  }

  private String output(List<String> arguments) throws BenchException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(executable.toString()));
    command.addAll(arguments);
    return Commands.output(command);
  }
}
