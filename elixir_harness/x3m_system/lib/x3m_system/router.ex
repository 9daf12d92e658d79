defmodule X3m.System.Router do
  @moduledoc """
  Declares the services that a node offers.

      defmodule MyRouter do
        use X3m.System.Router

        service :open_account, MyHandler
        servicep :only_here, MyHandler

        def authorize(%X3m.System.Message{}), do: :ok
      end

  A service runs the function of its name (or the one named as third argument) of its handler, which
  gives `{:reply, message}` or `:noreply`. `servicep` services are not announced to other nodes.
  """

  alias X3m.System.{Message, ServiceRegistry}

  defmacro service(name, handler), do: declare(:x3m_service, name, handler, name)
  defmacro service(name, handler, function), do: declare(:x3m_service, name, handler, function)

  defmacro servicep(name, handler), do: declare(:x3m_servicep, name, handler, name)
  defmacro servicep(name, handler, function), do: declare(:x3m_servicep, name, handler, function)

  defp declare(attribute, name, handler, function) do
    quote do
      Module.put_attribute(__MODULE__, unquote(attribute), {unquote(name), 1})

      @doc false
      def unquote(name)(%X3m.System.Message{service_name: unquote(name)} = message) do
        X3m.System.Router.__serve__(__MODULE__, unquote(handler), unquote(function), message)
      end
    end
  end

  defmacro __using__(opts) do
    local_logging? = Keyword.get(opts, :ensure_local_logging?, true)

    unless is_boolean(local_logging?) do
      raise ArgumentError,
            "option :ensure_local_logging?: expected a boolean, got #{inspect(local_logging?)}"
    end

    quote do
      import X3m.System.Router, only: [service: 2, service: 3, servicep: 2, servicep: 3]
      Module.register_attribute(__MODULE__, :x3m_service, accumulate: true)
      Module.register_attribute(__MODULE__, :x3m_servicep, accumulate: true)
      Module.register_attribute(__MODULE__, :servicedoc, [])
      @x3m_local_logging unquote(local_logging?)
      @before_compile X3m.System.Router

      @doc false
      def register_services, do: X3m.System.Router.__register__(__MODULE__)

      @doc false
      def authorized?(%X3m.System.Message{} = message), do: authorize(message) == :ok

      @doc false
      def choose_node(_message), do: :local
      defoverridable choose_node: 1

      @doc false
      def _invoke(:local, handler, function, message) do
        X3m.System.Router.__run__(__MODULE__, handler, function, message)
      end

      def _invoke(node, handler, function, message) do
        true = :rpc.cast(node, __MODULE__, :_invoke, [:local, handler, function, message])
        :ok
      end
    end
  end

  defmacro __before_compile__(env) do
    # In the order of declaration.
    public = Enum.reverse(Module.get_attribute(env.module, :x3m_service))
    private = Enum.reverse(Module.get_attribute(env.module, :x3m_servicep))

    # Generated: a router that has a clause for everything makes this one unreachable.
    quote generated: true do
      @doc false
      def registered_services(visibility \\ :all)
      def registered_services(:public), do: unquote(public)
      def registered_services(:private), do: unquote(private)
      def registered_services(:all), do: unquote(private ++ public)

      @doc false
      def __local_logging__, do: @x3m_local_logging

      @doc false
      def authorize(_message), do: :forbidden
    end
  end

  @doc false
  def __register__(router) do
    ServiceRegistry.register_local_services(%{
      public: services_of(router, :public),
      private: services_of(router, :private)
    })
  end

  @doc false
  def __serve__(router, handler, function, %Message{} = message) do
    if router.registered_services(:public)[message.service_name] do
      set_metadata(router, message)
    else
      Logger.metadata(message.logger_metadata)
    end

    case router.authorize(message) do
      :ok ->
        router._invoke(router.choose_node(message), handler, function, message)

      refusal ->
        send(message.reply_to, Message.error(message, refusal))
        :ok
    end
  end

  @doc false
  def __run__(router, handler, function, %Message{} = message) do
    set_metadata(router, message)

    case apply(handler, function, [message]) do
      {:reply, %Message{} = reply} ->
        events = if reply.dry_run == :verbose, do: reply.events, else: []
        send(reply.reply_to, %{reply | request: nil, events: events})
        :ok

      :noreply ->
        :ok
    end
  end

  defp services_of(router, visibility) do
    for {service, 1} <- router.registered_services(visibility), into: %{}, do: {service, router}
  end

  defp set_metadata(router, message) do
    if router.__local_logging__() do
      Logger.metadata(Keyword.put(message.logger_metadata, :gl, Process.whereis(:user)))
    else
      Logger.metadata(message.logger_metadata)
    end
  end
end
