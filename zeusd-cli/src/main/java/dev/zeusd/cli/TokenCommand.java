package dev.zeusd.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd token}: holds the commands for tokens. */
@Command(
    name = "token",
    description = "Issue, show and revoke tokens",
    subcommands = {
      TokenIssueCommand.class,
      TokenShowCommand.class,
      TokenRevokeCommand.class,
      HelpOfCommand.class
    },
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class)
final class TokenCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: " + Zeusd.subcommands(spec.commandLine()));
  }
}
