/** The zeusd command. */
module dev.zeusd.cli {
  requires dev.zeusd.client;
  requires dev.zeusd.ffm;
  requires dev.zeusd.server;
  requires info.picocli;
  requires io.helidon.service.registry;
  requires jakarta.json;
  requires java.logging;
  requires org.jline.terminal;
  requires org.jline.terminal.ffm;
  requires org.tomlj;

  opens dev.zeusd.cli to
      info.picocli;
}
