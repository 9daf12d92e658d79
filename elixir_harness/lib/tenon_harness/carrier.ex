defmodule TenonHarness.Carrier do
  @moduledoc """
  How the nodes of one run reach each other: as this virtual machine does.

  It is started with `-proto_dist`, `-ssl_dist_optfile` and `-erl_epmd_port` (`test/elixir` sees to
  that, told by `TENON_CARRIER`), and what it was given every other node is given as well.

  Without epmd all nodes listen on one port, so each has an address of its own.

  A handshake, that of TLS included, may take as long as a test waits at most.
  """

  alias TenonHarness.Wait

  @setup_ms Wait.deadline_ms()
  @setup_s div(@setup_ms, 1_000)

  @doc "The carrier of this run, as `TENON_CARRIER` names it."
  def name, do: if(epmd?(), do: proto_dist(), else: "no_epmd")

  @doc "Whether connections are encrypted."
  def tls?, do: proto_dist() in ["inet_tls", "inet6_tls"]

  @doc "Whether epmd tells the ports."
  def epmd?, do: port() == nil

  @doc "The address family, of `:inet`."
  def family, do: if(ipv6?(), do: :inet6, else: :inet)

  @doc "The port on which every node listens; nil where epmd tells it."
  def port do
    with text when text != nil <- argument(:erl_epmd_port), do: String.to_integer(text)
  end

  @doc "The host part for the name of a new node."
  def host, do: if(epmd?() and not ipv6?(), do: "localhost", else: numeric_host())

  @doc "The same as an address."
  def numeric_host do
    cond do
      not epmd?() -> Enum.join([127 | for(_ <- 1..3, do: Enum.random(1..254))], ".")
      ipv6?() -> "::1"
      true -> "127.0.0.1"
    end
  end

  @doc "Whether a node's name is a long one."
  def long_name?(node), do: node |> host_of() |> String.contains?([".", ":"])

  @doc "The address at which a node of this run listens."
  def address(node) do
    {:ok, address} = :inet.getaddr(node |> host_of() |> to_charlist(), family())
    address
  end

  @doc "The arguments of `erl` for a node of that name."
  def erl_args(node) do
    carrier = if proto_dist() == "inet_tcp", do: [], else: ["-proto_dist", proto_dist()]
    tls = if tls?(), do: ["-ssl_dist_optfile", optfile()], else: []
    carrier ++ tls ++ ["-kernel", "net_setuptime", "#{@setup_s}"] ++ erl_port_args(node)
  end

  @doc "The arguments of `tenon run` for a node of that name."
  def run_args(node) do
    if epmd?() do
      command_args()
    else
      command_args() ++ ["--port", to_string(port()), "--interface", interface(node)]
    end
  end

  @doc "The arguments of the commands that ask a node."
  def command_args do
    carrier = if proto_dist() == "inet_tcp", do: [], else: ["--proto-dist", proto_dist()]
    tls = if tls?(), do: ["--ssl-dist-optfile", optfile()], else: []
    epmd = if epmd?(), do: [], else: ["--epmd", "none", "--peer-port", to_string(port())]
    carrier ++ tls ++ epmd ++ ["--connect-timeout", "#{@setup_ms}"]
  end

  @doc "The options of `:ssl` for a side, `:client` or `:server`, of a peer made by hand."
  def ssl_opts(side) do
    {:ok, [opts]} = :file.consult(to_charlist(optfile()))
    Keyword.fetch!(opts, side)
  end

  @doc "Makes this virtual machine a node."
  def start_node!(node) do
    Application.put_env(:kernel, :net_setuptime, @setup_s)

    unless epmd?() do
      Application.put_env(:kernel, :inet_dist_use_interface, address(node))
    end

    {:ok, _pid} = Node.start(node, if(long_name?(node), do: :longnames, else: :shortnames))
  end

  defp erl_port_args(node) do
    if epmd?() do
      []
    else
      interface = :io_lib.format("~w", [address(node)])

      ["-start_epmd", "false", "-erl_epmd_port", to_string(port())] ++
        ["-kernel", "inet_dist_use_interface", to_string(interface)]
    end
  end

  # A name may come without its host.
  defp interface(node) do
    if host_of(node) == "", do: numeric_host(), else: host_of(node)
  end

  defp host_of(node), do: node |> to_string() |> String.split("@") |> Enum.at(1, "")

  defp proto_dist, do: argument(:proto_dist) || "inet_tcp"
  defp optfile, do: argument(:ssl_dist_optfile)
  defp ipv6?, do: proto_dist() in ["inet6_tcp", "inet6_tls"]

  defp argument(flag) do
    case :init.get_argument(flag) do
      {:ok, [[value] | _]} -> to_string(value)
      :error -> nil
    end
  end
end
