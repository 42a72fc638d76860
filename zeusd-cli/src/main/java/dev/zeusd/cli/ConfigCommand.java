package dev.zeusd.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd config}: holds the commands for configuration files. */
@Command(
    name = "config",
    description = "Check configuration files",
    subcommands = {ConfigCheckCommand.class, HelpOfCommand.class},
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class)
final class ConfigCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: " + Zeusd.subcommands(spec.commandLine()));
  }
}
